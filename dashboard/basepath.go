package dashboard

// CheckBasePath refuses what cannot be the path below which a proxy serves the pages.
func CheckBasePath(text string) error {
	_, err := basePath(text)
	return err
}
