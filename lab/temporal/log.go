package temporal

import "log/slog"

// discard drops what the client says while the server is still starting.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
