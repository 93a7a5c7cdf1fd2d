package files

import (
	"path"
	"strings"
)

// contentType is what a browser is told of a file by its name; nil where the name says nothing, and
// S3 says binary/octet-stream. The table is ours, so that every worker says the same: that of the
// system differs from host to host. Of texts no encoding is said, since a name does not tell it.
func contentType(p string) *string {
	if t, ok := contentTypes[strings.ToLower(strings.TrimPrefix(path.Ext(p), "."))]; ok {
		return &t
	}
	return nil
}

// contentTypes are IANA's, and where it has none what Debian's mime-support says:
// https://www.iana.org/assignments/media-types.
var contentTypes = map[string]string{
	"7z":          "application/x-7z-compressed",
	"aac":         "audio/aac",
	"avi":         "video/x-msvideo",
	"avif":        "image/avif",
	"bmp":         "image/bmp",
	"bz2":         "application/x-bzip2",
	"css":         "text/css",
	"csv":         "text/csv",
	"doc":         "application/msword",
	"docx":        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"eml":         "message/rfc822",
	"eot":         "application/vnd.ms-fontobject",
	"epub":        "application/epub+zip",
	"flac":        "audio/flac",
	"gif":         "image/gif",
	"gz":          "application/gzip",
	"heic":        "image/heic",
	"htm":         "text/html",
	"html":        "text/html",
	"ico":         "image/vnd.microsoft.icon",
	"ics":         "text/calendar",
	"jpeg":        "image/jpeg",
	"jpg":         "image/jpeg",
	"js":          "text/javascript",
	"json":        "application/json",
	"jsonld":      "application/ld+json",
	"m4a":         "audio/mp4",
	"m4v":         "video/x-m4v",
	"md":          "text/markdown",
	"mid":         "audio/midi",
	"mjs":         "text/javascript",
	"mkv":         "video/x-matroska",
	"mov":         "video/quicktime",
	"mp3":         "audio/mpeg",
	"mp4":         "video/mp4",
	"mpeg":        "video/mpeg",
	"mpg":         "video/mpeg",
	"msg":         "application/vnd.ms-outlook",
	"odp":         "application/vnd.oasis.opendocument.presentation",
	"ods":         "application/vnd.oasis.opendocument.spreadsheet",
	"odt":         "application/vnd.oasis.opendocument.text",
	"oga":         "audio/ogg",
	"ogg":         "audio/ogg",
	"ogv":         "video/ogg",
	"otf":         "font/otf",
	"parquet":     "application/vnd.apache.parquet",
	"pdf":         "application/pdf",
	"png":         "image/png",
	"ppt":         "application/vnd.ms-powerpoint",
	"pptx":        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"ps":          "application/postscript",
	"psd":         "image/vnd.adobe.photoshop",
	"rar":         "application/vnd.rar",
	"rtf":         "application/rtf",
	"svg":         "image/svg+xml",
	"tar":         "application/x-tar",
	"tgz":         "application/gzip",
	"tif":         "image/tiff",
	"tiff":        "image/tiff",
	"ts":          "video/mp2t",
	"tsv":         "text/tab-separated-values",
	"ttf":         "font/ttf",
	"txt":         "text/plain",
	"vcf":         "text/vcard",
	"wasm":        "application/wasm",
	"wav":         "audio/wav",
	"weba":        "audio/webm",
	"webm":        "video/webm",
	"webmanifest": "application/manifest+json",
	"webp":        "image/webp",
	"woff":        "font/woff",
	"woff2":       "font/woff2",
	"xhtml":       "application/xhtml+xml",
	"xls":         "application/vnd.ms-excel",
	"xlsx":        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"xml":         "application/xml",
	"yaml":        "application/yaml",
	"yml":         "application/yaml",
	"zip":         "application/zip",
	"zst":         "application/zstd",
}
