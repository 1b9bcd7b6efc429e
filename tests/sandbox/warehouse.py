"""An AWS that takes everybody for the function, and BigQuery's own client."""

import contextlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google.auth.transport.requests
from google.auth.aws import AwsSecurityCredentials, AwsSecurityCredentialsSupplier, Credentials
from google.cloud import bigquery

from stack import GOOGLE_AUDIENCE, GOOGLE_PROJECT, GOOGLE_SERVICE_ACCOUNT, REGION
from tests.support import until

ROLE = "mimamori-local-s3_to_bigquery"
ARN = f"arn:aws:sts::000000000000:assumed-role/{ROLE}/{ROLE}"
ANYBODY = ("ASIA", "secret", "token")
DATASET = f"{GOOGLE_PROJECT}.kpi"
DAY = bigquery.TimePartitioning(type_="DAY", field="day")
SALES = (("day", "DATE", "REQUIRED"), ("shop", "STRING"), ("sum", "INT64"))


@contextlib.contextmanager
def trusting_aws():
    """An AWS that says of everybody that it is the function's role; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = f"<Arn>{ARN}</Arn>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Keys(AwsSecurityCredentialsSupplier):
    def __init__(self, *keys):
        self.keys = keys

    def get_aws_security_credentials(self, context, request):
        return AwsSecurityCredentials(*self.keys)

    def get_aws_region(self, context, request):
        return REGION


def credentials(server, keys=ANYBODY):
    path = f"serviceAccounts/{GOOGLE_SERVICE_ACCOUNT}:generateAccessToken"
    return Credentials(
        audience=GOOGLE_AUDIENCE,
        subject_token_type="urn:ietf:params:aws:token-type:aws4_request",
        token_url=f"{server.url}/google/v1/token",
        aws_security_credentials_supplier=Keys(*keys),
        service_account_impersonation_url=f"{server.url}/google/v1/projects/-/{path}",
        universe_domain="sandbox.test",
        scopes=["https://www.googleapis.com/auth/bigquery"],
    )


def token(server):
    made = credentials(server)
    made.refresh(google.auth.transport.requests.Request())
    return made.token


@contextlib.contextmanager
def client(server, location="asia-northeast1", keys=ANYBODY):
    options = {"api_endpoint": server.url, "universe_domain": "sandbox.test"}
    made = bigquery.Client(
        project=GOOGLE_PROJECT,
        credentials=credentials(server, keys),
        client_options=options,
        location=location,
    )
    with contextlib.closing(made):
        yield made


def schema(*fields):
    return [bigquery.SchemaField(name, kind, *mode) for name, kind, *mode in fields]


def load(bq, table, text, *, fields=SALES, wait=True, small=True, job_id=None, **options):
    """Load a text and return the job, done; it may have failed."""
    config = bigquery.LoadJobConfig(
        source_format="CSV",
        skip_leading_rows=1,
        write_disposition="WRITE_TRUNCATE",
        allow_quoted_newlines=True,
        **({"schema": schema(*fields)} if fields else {}),
    )
    for name, value in options.items():
        setattr(config, name, value)
    content = text if isinstance(text, bytes) else text.encode()
    job = bq.load_table_from_file(
        io.BytesIO(content),
        f"{DATASET}.{table}",
        size=len(content) if small else None,
        job_config=config,
        job_id=job_id,
    )
    if wait:
        until(job.done)
    return job


def rows(bq, table):
    return [tuple(row.values()) for row in bq.list_rows(f"{DATASET}.{table}")]
