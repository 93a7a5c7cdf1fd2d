package ebs

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// failure is an error of the API, as its SDKs decode it.
type failure struct {
	status  int
	kind    string
	reason  string
	message string
}

func (f *failure) Error() string { return f.kind + " " + f.reason + ": " + f.message }

func refused(reason, format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, "ValidationException", reason, fmt.Sprintf(format, args...)}
}

func missing(reason, format string, args ...any) *failure {
	return &failure{http.StatusNotFound, "ResourceNotFoundException", reason, fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *failure {
	return &failure{http.StatusConflict, "ConflictException", "", fmt.Sprintf(format, args...)}
}

func throttled() *failure {
	return &failure{http.StatusBadRequest, "RequestThrottledException", "ACCOUNT_THROTTLED", "the request rate of the account was exceeded"}
}

func internal(err error) *failure {
	return &failure{http.StatusInternalServerError, "InternalServerException", "", err.Error()}
}

func (f *failure) write(w http.ResponseWriter) {
	w.Header().Set("X-Amzn-Errortype", f.kind)
	body := map[string]string{"Message": f.message}
	if f.reason != "" {
		body["Reason"] = f.reason
	}
	writeJSON(w, f.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
