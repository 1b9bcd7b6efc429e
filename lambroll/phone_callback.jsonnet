(import 'lib/function.libsonnet')('phone_callback') {
  Handler: 'phone_escalation.phone_callback.handler',
  MemorySize: 256,
  Timeout: 25,
}
