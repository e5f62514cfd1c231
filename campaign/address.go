package campaign

import (
	"errors"
	"net/url"
)

// ParseAddress reads an address of the web, such as https://example.org/path. Its error
// quotes nothing, since an address may hold a secret.
func ParseAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("want http:// or https:// and a host")
	}
	return u, nil
}

// CheckAddress refuses what ParseAddress cannot read.
func CheckAddress(text string) error {
	_, err := ParseAddress(text)
	return err
}
