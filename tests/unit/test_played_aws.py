"""What the tests' own AWS promises: that writes on a condition are atomic, as DynamoDB's are."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from common import aws

WRITERS, ROUNDS = 8, 20


@pytest.fixture
def hasty():
    """Threads that take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_of_many_writers_one_succeeds(moto, hasty):
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName="items",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    together = threading.Barrier(WRITERS)

    def put(number):
        together.wait()
        try:
            dynamodb.put_item(
                TableName="items",
                Item={"id": {"S": str(number)}},
                ConditionExpression="attribute_not_exists(id)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            assert sum(pool.map(put, [number] * WRITERS)) == 1
