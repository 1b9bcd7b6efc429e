import pytest
from botocore.exceptions import ClientError

from common import aws, s3_file
from common.csv_blocks import Block
from common.s3_file import write

PLACE = {"Bucket": "files", "Key": "kpi/sales.csv"}
MIB = 1 << 20


@pytest.fixture
def s3(moto):
    s3 = aws.client("s3")
    place = {"LocationConstraint": "ap-northeast-1"}
    s3.create_bucket(Bucket="files", CreateBucketConfiguration=place)
    s3.put_object(**PLACE, Body=b"before")
    return s3


def blocks(count, size=MIB):
    return (Block(bytes([number % 256]) * size, 10) for number in range(count))


def uploads(s3):
    return s3.list_multipart_uploads(Bucket="files").get("Uploads", [])


@pytest.mark.parametrize(
    ("count", "parts"),
    [(0, 1), (1, 1), (7, 1), (8, 1), (9, 2), (16, 2), (17, 3), (50, 7)],
)
def test_what_is_written_is_all_of_it(s3, count, parts):
    written = write("files", "kpi/sales.csv", blocks(count), {"day": "2026-11-22"})

    assert vars(written) == {"rows": 10 * count, "bytes": count * MIB, "parts": parts}
    found = s3.get_object(**PLACE)
    assert found["Body"].read() == b"".join(block.data for block in blocks(count))
    assert found["Metadata"]["day"] == "2026-11-22"
    tags = s3.get_object_tagging(**PLACE)["TagSet"]
    rows = found["Metadata"].get("rows") or {tag["Key"]: tag["Value"] for tag in tags}["rows"]
    assert rows == str(10 * count)
    assert not uploads(s3)


@pytest.mark.parametrize("count", [0, 3, 10, 30])
def test_when_reading_fails_nothing_is_left(s3, count):
    def failing():
        yield from blocks(count)
        raise ValueError("the database went away")

    with pytest.raises(ValueError, match="went away"):
        write("files", "kpi/sales.csv", failing(), {})

    assert s3.get_object(**PLACE)["Body"].read() == b"before"
    assert not uploads(s3)


def test_a_file_without_its_tag_is_there_all_the_same(s3, monkeypatch, caplog):
    def failing(**_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObjectTagging")

    monkeypatch.setattr(s3, "put_object_tagging", failing)
    assert write("files", "kpi/sales.csv", blocks(9), {}).rows == 90
    assert s3.head_object(**PLACE)["ContentLength"] == 9 * MIB
    assert "no tag" in caplog.text


def test_parts_are_announced_and_put_together_with_their_checksums(s3, monkeypatch):
    said = []
    for name in ("create_multipart_upload", "upload_part", "complete_multipart_upload"):
        real = getattr(s3, name)

        def call(name=name, real=real, **given):
            said.append((name, given))
            answer = real(**given)
            return answer | {"ChecksumCRC32": "AAAA"} if name == "upload_part" else answer

        monkeypatch.setattr(s3, name, call)
    write("files", "kpi/sales.csv", blocks(9), {})
    *sending, (_, end) = said
    assert [one["ChecksumAlgorithm"] for _, one in sending] == ["CRC32"] * 3
    assert [one["ChecksumCRC32"] for one in end["MultipartUpload"]["Parts"]] == ["AAAA"] * 2


@pytest.mark.parametrize("at", [1, 2, 4])
def test_when_sending_fails_nothing_is_left(s3, monkeypatch, at):
    send = s3.upload_part

    def failing(**part):
        if part["PartNumber"] == at:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "slow"}}, "UploadPart")
        return send(**part)

    monkeypatch.setattr(s3, "upload_part", failing)
    read = []

    def watched():
        for block in blocks(100):
            read.append(block)
            yield block

    with pytest.raises(ClientError, match="SlowDown"):
        write("files", "kpi/sales.csv", watched(), {})

    assert s3.get_object(**PLACE)["Body"].read() == b"before"
    assert not uploads(s3)
    # It is noticed before much more is read.
    assert len(read) <= (at + 2) * s3_file.PART / MIB
