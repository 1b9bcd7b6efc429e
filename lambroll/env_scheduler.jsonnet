(import 'lib/function.libsonnet')('env_scheduler') { MemorySize: 256, Timeout: 60 }
