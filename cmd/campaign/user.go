package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"campaign-runner/campaign/store"
	"campaign-runner/campaign/users"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) user() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Users of the pages: list, add, remove, change role or password",
		Long: `People who may use the pages. Without any, the pages are open to this machine, or ask
for ADMIN_PASSWORD. The first user turns sign-in on in all workers within five seconds.
ADMIN_PASSWORD goes on working, as an admin.

A viewer sees totals and states, and nothing of a person. An operator also sees contacts
and steers campaigns. A launcher also uploads lists and launches campaigns. An admin may
do all. Removing users, and changing a role or a password, ends their sessions.

These commands need REDIS_URL and nothing else: everybody who has it can make an admin.`,
	}
	cmd.AddCommand(a.userAdd(), a.userList(), a.userRole(), a.userPasswd(), a.userRemove())
	return cmd
}

// onUser makes a subcommand about one user.
func (a *app) onUser(use, short string, more int, run func(cmd *cobra.Command, s *store.Store, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: short + ".",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1+more {
				return fmt.Errorf("want: campaign user %s", use)
			}
			return users.CheckName(args[0])
		},
		ValidArgsFunction: a.completeUsers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(func(_ context.Context, s *store.Store, args []string) error { return run(cmd, s, args) })(cmd, args)
		},
	}
}

func (a *app) userAdd() *cobra.Command {
	var role string
	cmd := a.onUser("add USER --role ROLE", "Add a user of the pages", 0, func(cmd *cobra.Command, s *store.Store, args []string) error {
		ctx, name := cmd.Context(), args[0]
		r, err := parseRole(role)
		if err != nil {
			return err
		}
		if users.Key(name) == users.Key(cli.AdminUser.Get(a.getenv)) {
			return cli.Usagef("%s is the user of ADMIN_PASSWORD: choose another name, so that logs tell them apart", name)
		}
		known, err := s.Users(ctx)
		if err != nil {
			return err
		}
		password, err := a.newPassword(ctx, name)
		if err != nil {
			return err
		}
		if err := s.AddUser(ctx, users.New(name, r, users.Hash(password), a.me())); err != nil {
			return err
		}
		if len(known) == 0 {
			a.note("this is the first user: all workers ask for it within five seconds")
		}
		return a.changedUser(ctx, "added", userRow{User: name, Role: r.String()})
	})
	cmd.Long += passwordText
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Flags().StringVar(&role, "role", "", "what the user may do: "+strings.Join(users.RoleNames(), ", "))
	_ = cmd.MarkFlagRequired("role") // fails on unknown flags only
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(users.RoleNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

const passwordText = `

The password is asked for twice on a terminal, without showing it. Anywhere else it is
the first line of the standard input.`

func (a *app) userRole() *cobra.Command {
	return a.onUser("role USER ROLE", "Change a user's role, which ends the user's sessions", 1, func(cmd *cobra.Command, s *store.Store, args []string) error {
		r, err := parseRole(args[1])
		if err != nil {
			return err
		}
		err = s.ChangeUser(cmd.Context(), args[0], func(u *users.User) { u.Role = r; u.Renew(a.me()) })
		if err != nil {
			return a.knownUsers(cmd.Context(), s, args[0], err)
		}
		return a.changedUser(cmd.Context(), "given another role", userRow{User: args[0], Role: r.String()})
	})
}

func (a *app) userPasswd() *cobra.Command {
	cmd := a.onUser("passwd USER", "Change a user's password, which ends the user's sessions", 0, func(cmd *cobra.Command, s *store.Store, args []string) error {
		ctx := cmd.Context()
		all, err := s.Users(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(u users.User) bool { return users.Key(u.Name) == users.Key(args[0]) }) { // no password is typed for nobody
			return a.knownUsers(ctx, s, args[0], fmt.Errorf("change user %s: %w", args[0], store.ErrNoUser))
		}
		password, err := a.newPassword(ctx, args[0])
		if err != nil {
			return err
		}
		hash := users.Hash(password)
		if err := s.ChangeUser(ctx, args[0], func(u *users.User) { u.Password = hash; u.Renew(a.me()) }); err != nil {
			return err
		}
		return a.changedUser(ctx, "given another password", userRow{User: args[0]})
	})
	cmd.Long += passwordText
	return cmd
}

func (a *app) userRemove() *cobra.Command {
	return a.onUser("remove USER", "Remove a user, which ends the user's sessions", 0, func(cmd *cobra.Command, s *store.Store, args []string) error {
		ctx := cmd.Context()
		if err := s.RemoveUser(ctx, args[0]); err != nil {
			return a.knownUsers(ctx, s, args[0], err)
		}
		if left, err := s.Users(ctx); err == nil && len(left) == 0 {
			a.note("this was the last user: without any, the pages are open to the worker's machine, or ask for ADMIN_PASSWORD")
		}
		return a.changedUser(ctx, "removed", userRow{User: args[0]})
	})
}

// A userRow is a user as commands show it.
type userRow struct {
	User    string    `json:"user"`
	Role    string    `json:"role,omitempty"`
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"`
}

// A userLine is one as CSV.
type userLine struct {
	User    string `csv:"user"`
	Role    string `csv:"role"`
	Changed string `csv:"changed"`
	By      cell   `csv:"by"`
}

func (u userRow) row() userLine { return userLine{u.User, u.Role, moment(u.Changed), cell(u.By)} }

func (a *app) userList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the users with their roles", Args: cobra.NoArgs,
		RunE: a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
			all, err := s.Users(ctx)
			if err != nil {
				return err
			}
			rows, text := []userRow{}, new(strings.Builder)
			for _, u := range all {
				row := userRow{u.Name, u.Role.String(), u.Changed, u.By}
				rows = append(rows, row)
				fmt.Fprintf(text, "%-20s %-9s changed %s by %s\n", row.User, row.Role, cli.Moment(row.Changed), row.By)
			}
			if len(rows) == 0 {
				a.note("there are no users: the pages are open to the worker's machine, or ask for ADMIN_PASSWORD")
			}
			return printTable(a, rows, userRow.row, map[string][]userRow{"users": rows}, text.String())
		}),
	}
	return a.asCSV(cmd)
}

// changedUser prints what was done, and logs it for those who audit the machine.
func (a *app) changedUser(ctx context.Context, what string, u userRow) error {
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	log.InfoContext(ctx, "user of the pages "+what, "user", u.User, "role", u.Role, "by", a.me())
	return a.print(u, fmt.Sprintf("%s is %s\n", u.User, what))
}

// me is the person who runs the process, as the machine knows them.
func (a *app) me() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func parseRole(text string) (users.Role, error) {
	r, err := users.ParseRole(text)
	if err != nil {
		return r, cli.Usagef("%w%s", err, cli.DidYouMean(text, users.RoleNames()))
	}
	return r, nil
}

// knownUsers adds to an error about an unknown user which of the known ones was meant.
func (a *app) knownUsers(ctx context.Context, s *store.Store, name string, err error) error {
	if !errors.Is(err, store.ErrNoUser) {
		return err
	}
	var names []string
	if all, err := s.Users(ctx); err == nil {
		for _, u := range all {
			names = append(names, u.Name)
		}
	}
	return fmt.Errorf("%w%s; 'campaign user list' shows all", err, cli.DidYouMean(name, names))
}

// completeUsers completes the first argument as the name of a user, the second as a role.
func (a *app) completeUsers(cmd *cobra.Command, args []string, begun string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) == 1 {
		return users.RoleNames(), cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	if rdb, err := cli.OpenRedis(ctx, a.getenv); err == nil && len(args) == 0 {
		defer rdb.Close()
		all, _ := store.New(rdb).Users(ctx) // none if Redis does not tell
		for _, u := range all {
			if strings.HasPrefix(u.Name, begun) {
				names = append(names, u.Name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// newPassword reads a password that somebody chooses for a user.
func (a *app) newPassword(ctx context.Context, name string) (string, error) {
	password, err := a.typedPassword(ctx, "Password of "+name+": ")
	if err != nil {
		return "", err
	}
	if err := users.CheckPassword(password); err != nil {
		return "", cli.Usage(err)
	}
	if !cli.IsTerminal(a.stdin) {
		return password, nil
	}
	again, err := a.typedPassword(ctx, "Once more: ")
	if err == nil && again != password {
		err = cli.Usagef("the two passwords differ; nothing was changed")
	}
	return password, err
}

func (a *app) typedPassword(ctx context.Context, prompt string) (string, error) {
	if file, ok := cli.Terminal(a.stdin); ok {
		return a.unseen(ctx, int(file.Fd()), prompt)
	}
	line, err := bufio.NewReader(io.LimitReader(a.stdin, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// unseen reads a line from a terminal that does not show it. Who interrupts it gets the
// terminal back as it was.
func (a *app) unseen(ctx context.Context, terminal int, prompt string) (string, error) {
	was, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(a.stderr, prompt)
	defer fmt.Fprintln(a.stderr)
	type reading struct {
		line []byte
		err  error
	}
	read := make(chan reading, 1) // nobody may take it any more
	go func() {
		line, err := term.ReadPassword(terminal)
		read <- reading{line, err}
	}()
	select {
	case r := <-read:
		return string(r.line), r.err
	case <-ctx.Done():
		_ = term.Restore(terminal, was) // the process ends with the reader
		return "", ctx.Err()
	}
}
