package access_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
)

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(at, []byte(text), 0o600))
	return at
}

func TestATokenIsKnownByItsHashAlone(t *testing.T) {
	token, line, err := access.NewToken("ann", access.Operator)
	require.NoError(t, err)
	require.NotContains(t, line, token)
	tokens, err := access.OpenTokens(tokenFile(t, "# the night shift\n\n"+line+"\n"))
	require.NoError(t, err)
	who, ok := tokens.Find(token)
	require.True(t, ok)
	require.Equal(t, "ann", who.Name)
	require.Equal(t, access.Operator, who.Role)
	_, ok = tokens.Find(token + "x")
	require.False(t, ok)
	_, ok = tokens.Find("")
	require.False(t, ok)
}

func TestAMistakeInTheFileIsNamedByItsLine(t *testing.T) {
	_, line, err := access.NewToken("ann", access.Viewer)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"ann viewer":                       "line 1 is not NAME ROLE SHA256",
		"# x\nann admin " + line[11:]:      `line 2: role "admin" is none of`,
		"ann viewer drv_secret":            "the third word is no SHA-256 in hex",
		line + "\n" + line:                 "line 2: ann has a line already",
		"ann guest " + line[11:]:           `role "guest" is none of`,
		"an\x00n viewer " + line[11:] + "": "line 1 is not",
	} {
		_, err := access.OpenTokens(tokenFile(t, text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "drv_secret")
	}
}

func TestAFileThatOthersMayWriteIsRefused(t *testing.T) {
	at := tokenFile(t, "")
	require.NoError(t, os.Chmod(at, 0o666)) //nolint:gosec // that is the case
	_, err := access.OpenTokens(at)
	require.ErrorContains(t, err, "chmod go-w")
}

func TestALinkIsForOneCustomerUntilItRunsOut(t *testing.T) {
	key, now := access.RandomKey(), time.Now()
	link, err := key.Link("shop", "acme", now.Add(time.Hour))
	require.NoError(t, err)
	who, err := key.ReadLink(link, now)
	require.NoError(t, err)
	require.Equal(t, access.Guest, who.Role)
	require.Equal(t, "shop", who.Plan)
	require.Equal(t, "acme", who.Customer)
	_, err = key.ReadLink(link, now.Add(61*time.Minute))
	require.ErrorContains(t, err, "it was good until")
	_, err = access.RandomKey().ReadLink(link, now)
	require.Error(t, err, "another key")
	for i := range link { // any change, anywhere
		changed := link[:i] + string(link[i]^1) + link[i+1:]
		got, err := key.ReadLink(changed, now)
		if err == nil { // base64 may write the same bytes in two ways
			require.Equal(t, who, got)
		}
	}
}

func TestWhatIsSealedForOneUseIsNotTakenForAnother(t *testing.T) {
	key := access.RandomKey()
	sealed, err := key.Seal("sign-in", map[string]string{"name": "annabella"})
	require.NoError(t, err)
	require.NotContains(t, sealed, "annabella") // a shorter name base64 may write by chance
	var got map[string]string
	require.NoError(t, key.Unseal("sign-in", sealed, &got))
	require.Error(t, key.Unseal("session", sealed, &got))
	require.Error(t, access.RandomKey().Unseal("sign-in", sealed, &got))
}

func TestAShortOrOpenKeyFileIsRefused(t *testing.T) {
	at := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(at, []byte("short"), 0o600))
	_, err := access.ReadKey(at)
	require.ErrorContains(t, err, "needs 32")
	require.NoError(t, os.WriteFile(at, []byte(strings.Repeat("k", 44)), 0o600))
	_, err = access.ReadKey(at)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(at, 0o644)) //nolint:gosec // that is the case
	_, err = access.ReadKey(at)
	require.ErrorContains(t, err, "chmod go-rwx")
}
