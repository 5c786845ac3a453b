"""Reading the body of an upload as it comes: multipart/form-data (RFC 7578), piece by piece into incoming files.

Nothing of a file is held in memory beyond a piece. Two kinds of parts are taken: files, which have a file name, and
`label`, an access label. Any other part is refused, and so is a body that ends before its last boundary: what an owner
meant must not get lost silently. Refuses to know HTTP beyond the body and where files go.
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from governance.errors import BadInput
from ingest.incoming import IncomingFiles

_MOST_LABEL_BYTES = 200


class UploadStream:
    """Takes the pieces of a body and passes files on."""

    def __init__(self, content_type: str, files: IncomingFiles) -> None:
        """Begin. Raises BadInput for a body that is not multipart/form-data."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise BadInput("Files come as multipart/form-data; this request is of another type.")
        self.labels: list[str] = []
        self._files = files
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._label: bytearray | None = None
        self._ended = False
        try:
            self._parser = MultipartParser(options[b"boundary"], self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise BadInput(f"The form cannot be read ({error}).") from error

    def feed(self, piece: bytes) -> None:
        """Take a piece of the body. Raises BadInput for a form that is damaged, or has parts that are not known."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise BadInput(f"The form is damaged ({error}); nothing was kept.") from error

    def end(self) -> None:
        """End the body. Raises BadInput where it was cut short."""
        if not self._ended:
            raise BadInput("The form was cut short; nothing was kept. Send it again.")

    def _callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._note_end,
        }

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _begin_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options:
            self._label = None
            self._files.begin(_decoded(options[b"filename"]))
        elif options.get(b"name") == b"label":
            self._label = bytearray()
        else:
            name = _decoded(options.get(b"name", b""))[:40]
            raise BadInput(f"The form has a field {name!r}; only files and `label` are known. Nothing was kept.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._label is None:
            self._files.write(data[start:end])
            return
        self._label += data[start:end]
        if len(self._label) > _MOST_LABEL_BYTES:
            raise BadInput(f"A label is longer than {_MOST_LABEL_BYTES} bytes; nothing was kept.")

    def _end_part(self) -> None:
        if self._label is None:
            self._files.end()
            return
        label = _decoded(bytes(self._label)).strip()
        if not label:
            raise BadInput("A label is empty; nothing was kept. Leave it out to keep the labels that a document has.")
        self.labels.append(label)

    def _note_end(self) -> None:
        self._ended = True


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("A name in the form is not UTF-8; nothing was kept.") from error
