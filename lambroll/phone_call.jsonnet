(import 'lib/function.libsonnet')('phone_call') {
  Handler: 'phone_escalation.phone_call.handler',
  MemorySize: 256,
  Timeout: 25,
}
