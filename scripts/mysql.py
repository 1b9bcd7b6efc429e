"""A MySQL client on an environment's database: `python scripts/mysql.py ENV`.

On the laptop it becomes the client, as the user that the functions read with; SQL may come from
standard input. Elsewhere the database is in a VPC: it prints the tunnel and the client's command.
"""

import os

import database
import environment
from command import CommandError, run
from stack import Stack

TUNNEL = """\
The database of {env} is in a VPC. Through an instance there that Systems Manager reaches:
  aws ssm start-session --target INSTANCE --region {region} \\
    --document-name AWS-StartPortForwardingSessionToRemoteHost \\
    --parameters host={host},portNumber={port},localPortNumber=13306
and in another terminal, with the password that is DATABASE_PASSWORD:
  mysql --host=127.0.0.1 --port=13306 --user={user} --password --ssl-mode=REQUIRED {name}"""


def tunnel(env: str) -> str:
    """Return the commands that lead to the database of an environment on AWS."""
    functions = environment.output(env, "functions").values()
    path = next(about["environment"]["PARAMETER_PATH"] for about in functions)
    names = [f"{path}/DATABASE_{name}" for name in ("HOST", "PORT", "NAME", "USER")]
    answer = environment.client(env, "ssm").get_parameters(Names=names)
    if missing := ", ".join(answer["InvalidParameters"]):
        how = environment.how_to_apply(env)
        raise CommandError(f"not applied in {env} yet: {missing} ({how})")
    known = {one["Name"].rpartition("_")[2].lower(): one["Value"] for one in answer["Parameters"]}
    return TUNNEL.format(env=env, region=environment.backend(env)["region"], **known)


def become_client(stack: Stack) -> None:
    """Replace this process by the client of the laptop's database."""
    environment.output("local", "functions")
    # Not on the command line, which every user of a machine may read.
    environ = os.environ | {"MYSQL_PWD": stack.secrets().database_password}
    program = database.find_program("mariadb")
    address = ("--host=127.0.0.1", f"--port={stack.database_port}", f"--ssl-ca={stack.database_ca}")
    options = ("--default-character-set=utf8mb4", f"--user={database.READER}", database.NAME)
    os.execve(program, [program, "--no-defaults", *address, *options], environ)  # noqa: S606


def main(env: str) -> None:
    """Do what the environment takes."""
    if env == "local":
        become_client(Stack.current())
    print(tunnel(env))


if __name__ == "__main__":
    run(main)
