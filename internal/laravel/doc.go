// Package laravel runs the workers against real Laravel: its own kernel, throttle,
// validator, maintenance mode and exception handler (app/index.php), behind php-fpm
// and nginx. Laravel's ledger of the work that it has done is the judge.
//
// It is behind the build tag laravel: run it with make laravel.
package laravel
