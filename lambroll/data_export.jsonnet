// A whole vCPU; compressing and uploading keep it busy while the database makes the lines.
(import 'lib/function.libsonnet')('data_export') { MemorySize: 1769 }
