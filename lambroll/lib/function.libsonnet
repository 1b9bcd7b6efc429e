// The defaults of every function: `(import 'lib/function.libsonnet')('name') { what differs }`.
//
// All that Terraform decides is read from its one output `functions`. A function of a folder with
// another name says its own Handler.
local tfstate = std.native('tfstate');

function(name)
  local contract = tfstate('output.functions["%s"]' % name);
  {
    FunctionName: contract.name,
    Role: contract.role_arn,
    Handler: name + '.handler.handler',
    Runtime: 'python3.13',
    Architectures: ['arm64'],
    MemorySize: 128,
    // Terraform's where something derives from it; then no function says its own.
    Timeout: if contract.timeout != null then contract.timeout else 30,
    LoggingConfig: {
      LogFormat: 'JSON',
      LogGroup: contract.log_group,
    },
    Environment: { Variables: contract.environment },
    [if contract.vpc != null then 'VpcConfig']: {
      SubnetIds: contract.vpc.subnet_ids,
      SecurityGroupIds: contract.vpc.security_group_ids,
    },
  }
