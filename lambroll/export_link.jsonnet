(import 'lib/function.libsonnet')('export_link') {
  Handler: 'data_export.export_link.handler',
  MemorySize: 256,
  Timeout: 10,
}
