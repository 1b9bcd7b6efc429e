(import 'lib/function.libsonnet')('s3_to_bigquery') {
  Handler: 'kpi_to_bigquery.s3_to_bigquery.handler',
  MemorySize: 256,
}
