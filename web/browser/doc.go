// Package browser drives a real Chromium for tests of the board's pages. It is for tests only.
//
// Chromium is not one of the tools that setup installs: Debian's package is. Without it a test is
// skipped, and fails where DROVER_BROWSER=required says that it must be there.
package browser
