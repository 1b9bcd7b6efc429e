(import 'lib/function.libsonnet')('phone_sweep') {
  Handler: 'phone_escalation.phone_sweep.handler',
  MemorySize: 256,
  Timeout: 55,
}
