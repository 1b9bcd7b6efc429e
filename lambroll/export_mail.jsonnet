(import 'lib/function.libsonnet')('export_mail') {
  Handler: 'data_export.export_mail.handler',
  MemorySize: 256,
}
