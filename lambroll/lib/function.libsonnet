// The defaults of every function: `(import 'lib/function.libsonnet')('name') { what differs }`.
//
// All that Terraform decides is read from its one output `functions`. The folder and the function
// have the same name, unless `capability` says otherwise.
local tfstate = std.native('tfstate');

function(name, capability=name)
  local contract = tfstate('output.functions["%s"]' % name);
  {
    FunctionName: contract.name,
    Role: contract.role_arn,
    Handler: capability + '.handler.handler',
    Runtime: 'python3.13',
    Architectures: ['arm64'],
    MemorySize: 128,
    Timeout: 30,
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
