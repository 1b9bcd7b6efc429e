(import 'lib/function.libsonnet')('cloudwatch_to_slack') { MemorySize: 256, Timeout: 60 }
