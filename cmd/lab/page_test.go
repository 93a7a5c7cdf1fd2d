package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
)

func TestTheLabsBoardLetsALeadAndAGuestIn(t *testing.T) {
	dir, until := t.TempDir(), time.Now().Add(time.Hour)
	token, link, err := pageFiles(dir, "shop", "acme", until)
	require.NoError(t, err)
	tokens, err := access.OpenTokens(filepath.Join(dir, tokensFile))
	require.NoError(t, err)
	who, ok := tokens.Find(token)
	require.True(t, ok)
	require.Equal(t, access.Lead, who.Role)
	key, err := access.ReadKey(filepath.Join(dir, keyFile))
	require.NoError(t, err)
	guest, err := key.ReadLink(strings.TrimPrefix(link, "/link/"), time.Now())
	require.NoError(t, err)
	require.Equal(t, "acme", guest.Customer)
	require.Equal(t, "shop", guest.Plan)
}

func TestABoardsPortThatIsTakenIsNotUsed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:"+pagePort)
	if err == nil { // else somebody has it already
		defer func() { _ = l.Close() }()
	}
	require.NotEqual(t, "127.0.0.1:"+pagePort, freeAddress())
}
