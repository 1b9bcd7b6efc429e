(import 'lib/function.libsonnet')('cloudwatch_to_mackerel') { MemorySize: 256, Timeout: 60 }
