package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// Kind is the class of an error as it crosses a socket. The list only ever grows.
type Kind string

const (
	BadRequest  Kind = "bad-request" // the request itself is wrong; the same one will never succeed
	Denied      Kind = "denied"      // the caller may not do this
	NotFound    Kind = "not-found"   // the thing named is not there
	Conflict    Kind = "conflict"    // the state does not allow it now
	Unavailable Kind = "unavailable" // the service, or a thing it needs, cannot be reached; nothing was done
	Full        Kind = "full"        // no room
	Internal    Kind = "internal"    // a fault of the service; details are in its log
	Unknown     Kind = "unknown"     // the answer was lost: it may have been done, or not
)

// Error is an error as it crosses a socket: a kind and one sentence for a person.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Text }

// KindOf is the kind of err: that of the *Error in it, "" for nil, Internal for any other.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Kind
	}
	return Internal
}

func status(k Kind) int {
	switch k {
	case BadRequest:
		return http.StatusBadRequest
	case Denied:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case Unavailable:
		return http.StatusServiceUnavailable
	case Full:
		return http.StatusInsufficientStorage
	case Unknown:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// Reply answers with v as JSON.
func Reply(w http.ResponseWriter, v any) { answer(w, http.StatusOK, v) }

// Refuse answers with an error.
func Refuse(w http.ResponseWriter, kind Kind, text string) {
	answer(w, status(kind), Error{Kind: kind, Text: text})
}

// RefuseWith answers with the kind and sentence of err; for an error that is no *Error the caller learns only that
// something went wrong inside.
func RefuseWith(w http.ResponseWriter, err error) {
	var e *Error
	if errors.As(err, &e) {
		Refuse(w, e.Kind, e.Text)
		return
	}
	Refuse(w, Internal, "an internal error; the service's log has it")
}

func answer(w http.ResponseWriter, code int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		code, text = http.StatusInternalServerError, []byte(`{"kind":"internal","text":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(text, '\n')) // the peer may have left; there is nobody to tell
}

// Read takes the request's body as one JSON value into the pointer into. When the body is too large, comes too
// slowly, has unknown fields or anything behind the value, it answers the request and returns false.
func Read(w http.ResponseWriter, r *http.Request, into any) bool {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(bodyTime)) // not supported by test recorders; MaxBytesReader still bounds
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	rc.SetReadDeadline(time.Time{})
	if err != nil {
		Refuse(w, BadRequest, "reading the body: "+err.Error())
		return false
	}
	if err := Decode(body, into); err != nil {
		Refuse(w, BadRequest, "reading the body: "+err.Error())
		return false
	}
	return true
}

// Decode reads text as exactly one JSON value into the pointer into: unknown fields are errors, and so is anything
// behind the value.
func Decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}

// Lines begins a stream: each call of the function it returns sends v as one line of JSON. A peer that does not take
// a line for ten seconds is given up.
func Lines(w http.ResponseWriter) func(v any) error {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	rc.Flush() // so that the peer sees the stream open before the first line
	return func(v any) error {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if len(text) >= MaxBody {
			return &Error{Kind: Internal, Text: "a line of a stream is larger than 1 MiB"}
		}
		rc.SetWriteDeadline(time.Now().Add(bodyTime))
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
		return rc.Flush()
	}
}
