(import 'lib/function.libsonnet')('kpi_to_s3') {
  Handler: 'kpi_to_bigquery.kpi_to_s3.handler',
  MemorySize: 512,
}
