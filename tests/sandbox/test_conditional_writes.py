"""Where concurrency may be tried: the laptop's DynamoDB writes on a condition atomically."""

import threading
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

TABLE, WRITERS, ROUNDS = "conditional-writes", 8, 25


def test_of_many_writers_one_succeeds(aws, client):
    dynamodb = client("dynamodb", aws, max_pool_connections=WRITERS)
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    together = threading.Barrier(WRITERS)

    def put(key):
        together.wait()
        return succeeds(
            dynamodb.put_item,
            TableName=TABLE,
            Item={"id": {"S": key}, "version": {"N": "0"}},
            ConditionExpression="attribute_not_exists(id)",
        )

    def update(key):
        together.wait()
        return succeeds(
            dynamodb.update_item,
            TableName=TABLE,
            Key={"id": {"S": key}},
            UpdateExpression="SET version = :new",
            ConditionExpression="version = :old",
            ExpressionAttributeValues={":old": {"N": "0"}, ":new": {"N": "1"}},
        )

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            for write in (put, update):
                assert sum(pool.map(write, [f"item-{number}"] * WRITERS)) == 1, write.__name__


def succeeds(write, **fields):
    try:
        write(**fields)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
        return False
    return True
