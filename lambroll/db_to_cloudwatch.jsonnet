(import 'lib/function.libsonnet')('db_to_cloudwatch') { MemorySize: 256, Timeout: 60 }
