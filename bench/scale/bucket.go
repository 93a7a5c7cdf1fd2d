package main

import (
	"crypto/md5" //nolint:gosec // ETags are MD5 sums
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// bucket is as much of S3 as the state bucket is asked for.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func etag(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // as S3 does
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	had, there := b.objects[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Header.Get("If-None-Match") == "*" && there || r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != etag(had) {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		b.objects[r.URL.Path] = body
		w.Header().Set("ETag", etag(body))
	case http.MethodGet:
		if !there {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(had))
		_, _ = w.Write(had)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}
