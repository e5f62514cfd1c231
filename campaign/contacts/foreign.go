package contacts

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"campaign-runner/campaign"
)

// foreign is the error of a kind of file that is not a contact list, with what to do about it.
func foreign(is, do string) error {
	return campaign.Faulty(campaign.MsgFileKind, "file_kind", is, "file_todo", do)
}

// What to do about a file that is not a contact list.
const (
	saveAsCSV   = `save it as "CSV UTF-8"`
	exportAsCSV = `export the list as "CSV UTF-8"`
	unpackFirst = "unpack it first"
	saveAsXLSX  = "save it as .xlsx"
	giveList    = `give the list itself, as an .xlsx workbook or "CSV UTF-8"`
	saveAgain   = `open it in a spreadsheet and save it as .xlsx or "CSV UTF-8"`
)

// foreignFiles are files that are not contact lists, by their first bytes.
var foreignFiles = []struct{ magic, is, do string }{
	{"PK\x03\x04", "an Excel workbook or another zip archive", saveAsCSV},
	{"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls), or one with a password", saveAsCSV},
	{"\x1f\x8b", "a gzip archive", unpackFirst},
	{"BZh", "a bzip2 archive", unpackFirst},
	{"\xfd7zXZ\x00", "an xz archive", unpackFirst},
	{"\x28\xb5\x2f\xfd", "a zstd archive", unpackFirst},
	{"Rar!", "a RAR archive", unpackFirst},
	{"7z\xbc\xaf", "a 7z archive", unpackFirst},
	{"%PDF", "a PDF document", giveList},
	{"{\\rtf", "a rich text document", giveList},
	{"\x89PNG", "a picture", giveList},
	{"\xff\xd8\xff", "a picture", giveList},
	{"GIF8", "a picture", giveList},
	{"II*\x00", "a picture", giveList},
	{"MM\x00*", "a picture", giveList},
	{"SQLite format 3\x00", "a database", "export the table as \"CSV UTF-8\""},
	{"PAR1", "a Parquet file", "export it as \"CSV UTF-8\""},
	{"\xff\xfe\x00\x00", "text in UTF-32", saveAsCSV},
	{"\x00\x00\xfe\xff", "text in UTF-32", saveAsCSV},
}

// foreignTexts are texts that are not contact lists, by their beginning.
var foreignTexts = []struct {
	start  *regexp.Regexp
	is, do string
}{
	{regexp.MustCompile(`^(?i:BEGIN:VCARD)\b`), "a file of vCards", "open it in an address book, or import it in Google Contacts, and export the contacts as CSV"},
	{regexp.MustCompile(`^(?i:BEGIN:VCALENDAR)\b`), "a calendar", "give a list of contacts, as an .xlsx workbook or \"CSV UTF-8\""},
	{regexp.MustCompile(`^(?:\{\s*(?:"|\})|\[\s*(?:[{\[\]"]|-?\d))`), "JSON", exportAsCSV + ", with a line for each contact"},
	{regexp.MustCompile(`^ID;P[^\r\n]*\r?\n[A-Z]{1,3};[A-Z]`), "a SYLK file (.slk)", saveAgain},
	{regexp.MustCompile(`^(?i:TABLE)\r?\n0,1\r?\n`), "a DIF file", saveAgain},
	{regexp.MustCompile(`^(?i:version: 1\s+)?dn: ?[^\r\n,;]+=`), "an LDIF file", "export the contacts as \"CSV UTF-8\""},
	{regexp.MustCompile(`^(?i:MIME-Version|Return-Path|Received|Message-ID): `), "an e-mail or a saved web page (.mht)", "save the list itself as \"CSV UTF-8\""},
	{regexp.MustCompile(`^(?i:<!doctype|<html|<table|<head|<body|<meta|<style|<div|<\?xml)`), "a web page or XML, whatever its name says", "open it in a spreadsheet and " + saveAsCSV},
}

// looksLike returns what a file is, by its beginning, if it is not a contact list.
func looksLike(head []byte) error {
	for _, k := range foreignFiles {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return foreign(k.is, k.do)
		}
	}
	if isRIFF := bytes.HasPrefix(head, []byte("RIFF")) && len(head) > 12 && bytes.Equal(head[8:12], []byte("WEBP")); isRIFF || len(head) > 12 && bytes.Equal(head[4:8], []byte("ftyp")) {
		return foreign("a picture or a film", giveList)
	}
	if isLockFile(head) {
		return ErrLockFile
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(head[:min(len(head), 2048)]), bom))
	for _, k := range foreignTexts {
		if k.start.MatchString(text) {
			return foreign(k.is, k.do)
		}
	}
	return nil
}

// lockBytes is the size of the file in which Office notes who has a workbook open.
const lockBytes = 165

func isLockFile(file []byte) bool {
	if len(file) != lockBytes || file[0] == 0 || file[0] > 54 {
		return false
	}
	name := int(file[0])
	return len(bytes.Trim(file[1+name:55], " \x00")) == 0 && file[55] == file[0]
}

// IsLockName reports whether a file of this name only says who has a document open.
func IsLockName(name string) bool {
	return strings.HasPrefix(name, "~$") || strings.HasPrefix(name, ".~lock.")
}

// ErrLockFile is the error of a file that IsLockName.
var ErrLockFile = foreign("the lock file of a workbook that somebody has open", "give the workbook itself, whose name is the same without ~$")

// notUTF8 returns what a file is, by its beginning, if it cannot be UTF-8.
func notUTF8(head []byte) error {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), utf16Of(head[:len(head)&^1]) != "":
		return foreign("text in UTF-16", saveAsCSV)
	case isBinary(head):
		return foreign("a binary file", saveAsCSV)
	}
	return nil
}

// isBinary reports whether a file has too many control characters for a text. One in a
// cell is a slip that costs its line, not the file.
func isBinary(head []byte) bool {
	control := 0
	for _, b := range head {
		if isControl(b) {
			control++
		}
	}
	return tooMuchControl(control, len(head))
}

func isControl(b byte) bool {
	return b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != '\v' && b != 0x1a
}

func tooMuchControl(control, bytes int) bool { return control > 1+bytes/50 }

func checkText(text string) error {
	if !utf8.ValidString(text) {
		return campaign.Faulty(campaign.MsgFileEncoding)
	}
	return nil
}
