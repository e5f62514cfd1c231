<?php

/*
 * A platform as small as it can be, made of Laravel's own kernel, router, guard,
 * throttle, validator, maintenance mode and exception handler.
 *
 * STORAGE is a folder of the test. control.json in it is what the test sets; the
 * ledger in it has one line for each contact, written where a real platform would
 * begin to contact people: before the answer, whatever becomes of it.
 */

use Illuminate\Auth\GenericUser;
use Illuminate\Auth\Middleware\Authenticate;
use Illuminate\Cache\RateLimiter;
use Illuminate\Cache\RateLimiting\Limit;
use Illuminate\Config\Repository;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Bootstrap\HandleExceptions;
use Illuminate\Foundation\Exceptions\Handler;
use Illuminate\Foundation\Http\Kernel;
use Illuminate\Foundation\Http\Middleware as Web;
use Illuminate\Http\Request;
use Illuminate\Routing\Middleware\ThrottleRequests;
use Illuminate\Support\Facades\Facade;

error_reporting(E_ALL & ~E_DEPRECATED); // version 8 under PHP 8.2
require 'Illuminate/autoload.php';

$storage = $_SERVER['STORAGE'];
$control = json_decode(file_get_contents("$storage/control.json"), true);

class PlatformKernel extends Kernel
{
    protected $bootstrappers = [HandleExceptions::class]; // the others' work is done below
    protected $middleware = [
        Web\PreventRequestsDuringMaintenance::class,
        Web\ValidatePostSize::class,
        Web\TrimStrings::class,
        Web\ConvertEmptyStringsToNull::class,
    ];
    protected $routeMiddleware = ['auth' => Authenticate::class, 'throttle' => ThrottleRequests::class];
}

$app = new Application(__DIR__);
$app->useStoragePath($storage);
$app['env'] = 'production';
$app->instance('config', new Repository([
    'app' => ['debug' => false, 'locale' => 'en', 'fallback_locale' => 'en', 'key' => str_repeat('k', 32), 'cipher' => 'AES-256-CBC'],
    'auth' => ['defaults' => ['guard' => 'agent'], 'guards' => ['agent' => ['driver' => 'bearer']]],
    'cache' => ['default' => 'redis', 'prefix' => 'platform', 'stores' => ['redis' => ['driver' => 'redis', 'connection' => 'default']]],
    'database' => ['redis' => ['client' => 'phpredis', 'default' => ['host' => '127.0.0.1', 'port' => $_SERVER['REDIS_PORT'], 'database' => 0]]],
    'logging' => ['default' => 'file', 'channels' => ['deprecations' => ['driver' => 'monolog', 'handler' => Monolog\Handler\NullHandler::class],
        'file' => ['driver' => 'single', 'path' => "$storage/laravel.log"]]],
    'session' => ['driver' => 'array', 'lifetime' => 1],
    'view' => ['paths' => [], 'compiled' => $storage],
]));
Facade::setFacadeApplication($app);
$app->singleton(Illuminate\Contracts\Http\Kernel::class, PlatformKernel::class);
$app->singleton(ExceptionHandler::class, Handler::class);
foreach (['Auth\Auth', 'Cache\Cache', 'Filesystem\Filesystem', 'Foundation\Providers\Foundation', 'Redis\Redis', 'Session\Session',
    'Translation\Translation', 'Validation\Validation', 'View\View'] as $provider) {
    $app->register("Illuminate\\{$provider}ServiceProvider");
}
$app->boot();

$app['auth']->viaRequest('bearer', fn (Request $r) => in_array($r->bearerToken(), $control['tokens'], true)
    ? new GenericUser(['id' => $r->bearerToken()]) : null);
$app[RateLimiter::class]->for('agent', function (Request $r) use ($control) {
    $limit = new Limit($r->bearerToken(), $control['limit']);
    $limit->decayMinutes = $control['window'] / 60; // its constructor takes whole minutes alone
    return $limit;
});
$app['translator']->addLines(require __DIR__.'/lines.php', 'en');

// The work: from here on these people have been contacted. What comes after it
// may lose the answer, not undo the work.
$contact = function (array $phones) use ($control, $storage) {
    throw_if($control['then'] === 'refuse', RuntimeException::class, 'before any work');
    file_put_contents("$storage/ledger", implode("\n", $phones)."\n", FILE_APPEND | LOCK_EX);
    usleep($control['work'] * 1000);
    match ($control['then']) {
        '' => null,
        'throw' => throw new RuntimeException('the answer of work that was done'),
        'fatal' => ini_set('memory_limit', memory_get_usage() + (4 << 20)) && str_repeat('x', 64 << 20),
        'die' => posix_kill(getmypid(), 9),
        'page' => response('<!DOCTYPE html><html><body>Sign in</body></html>')->send() && exit,
    };
};
$rules = fn (string $at) => [
    "{$at}phone" => ['required', 'string', 'regex:/^\+[1-9][0-9]{6,14}$/', fn ($field, $value, $fail) => in_array($value, $control['bad'], true)
        ? $fail('The selected :attribute is invalid.') : null],
    "{$at}values" => 'nullable|array',
] + array_combine(array_map(fn ($key) => "{$at}values.$key", $control['keys']), array_map(fn () => 'required', $control['keys']));
$channel = ['channel_id' => ['required', 'integer', 'in:'.implode(',', $control['channels'])]];
$hook = ['webhook' => 'nullable|array', 'webhook.link' => 'url', 'webhook.body' => 'nullable|array', 'webhook.headers' => 'nullable|array'];

$app['router']->middleware(['auth', 'throttle:agent'])->prefix('Integration/Agent')->group(function ($router) use ($contact, $rules, $channel, $hook, $control) {
    $router->get('/', fn () => ['data' => ['id' => 1, 'name' => 'Laravel '.app()->version()]]);
    $router->get('/Values', fn () => ['data' => $control['keys']]);
    $router->post('/Batch', function (Request $r) use ($contact, $rules, $channel, $hook, $control) {
        $in = $r->validate($channel + $hook + ['name' => 'required|string|max:255', 'rows' => "required|array|max:{$control['max_rows']}"] + $rules('rows.*.'));
        $contact(array_column($in['rows'], 'phone'));
        return ['message' => 'Batch created successfully.', 'data' => ['id' => uniqid()]];
    });
    $router->post('/Dispatch', function (Request $r) use ($contact, $rules, $channel, $hook) {
        $in = $r->validate($channel + $hook + $rules(''));
        $contact([$in['phone']]);
        return ['message' => 'Dispatched successfully.', 'data' => ['id' => uniqid()]];
    });
});

// The Support Center. The desk keeps its tickets, and what is said about them; what comes
// after a change of it may lose the answer, not the change.
$desk = function (callable $use, bool $changes = true) use ($control, $storage) {
    $file = fopen("$storage/desk.json", 'c+');
    flock($file, LOCK_EX);
    $tickets = json_decode(stream_get_contents($file) ?: '[]', true);
    $answer = $use($tickets);
    if ($changes) {
        rewind($file);
        ftruncate($file, 0);
        fwrite($file, json_encode($tickets));
        fflush($file);
    }
    fclose($file);
    if ($changes && $control['desk'] === 'die') {
        posix_kill(getmypid(), 9);
    }
    return $answer;
};
$find = function (array $tickets, string $by, string $id) {
    $at = array_search($id, array_column($tickets, $by), true);
    abort_if($at === false, 404, 'Not found.');
    return $at;
};
$shown = fn (array $t) => array_diff_key($t, ['messages' => 1]);

$app['router']->middleware(['auth', 'throttle:agent'])->prefix('Company')->group(function ($router) use ($desk, $find, $shown) {
    $router->get('/TenantAuth/me', fn () => ['data' => ['id' => 1, 'name' => 'Tenant', 'abilities' => ['*']]]);
    $router->get('/Support/Tickets', function (Request $r) use ($desk, $shown) {
        $all = array_reverse($desk(fn ($tickets) => $tickets, false));
        $page = new Illuminate\Pagination\LengthAwarePaginator(array_map($shown, array_slice($all, ($r->input('page', 1) - 1) * 2, 2)), count($all), 2, $r->input('page', 1), ['path' => $r->url()]);
        return ['data' => $page->items(), 'links' => ['next' => $page->nextPageUrl()], 'meta' => ['current_page' => $page->currentPage(), 'last_page' => $page->lastPage()]];
    });
    $router->post('/Support/Tickets', function (Request $r) use ($desk, $shown) {
        $in = $r->validate(['subject' => 'required|string|max:255']);
        return response(['data' => $desk(function (&$tickets) use ($in, $shown) {
            $tickets[] = $t = ['public_id' => uniqid('T'), 'conversation_id' => uniqid('C'), 'subject' => $in['subject'], 'status' => 'open', 'created_at' => now()->toIso8601String(), 'messages' => []];
            return $shown($t);
        })], 201);
    });
    $router->get('/Support/Tickets/{id}', fn (string $id) => ['data' => $desk(fn ($tickets) => $shown($tickets[$find($tickets, 'public_id', $id)]), false)]);
    $router->post('/Conversation/{id}/Send', function (Request $r, string $id) use ($desk, $find) {
        $in = $r->validate(['message' => 'required|string|max:10000']);
        return ['data' => $desk(function (&$tickets) use ($in, $id, $find) {
            return $tickets[$find($tickets, 'conversation_id', $id)]['messages'][] = ['role' => 'customer', 'message' => $in['message'], 'timestamp' => now()->toIso8601String()];
        })];
    });
    $router->get('/Conversation/{id}/history', fn (string $id) => ['data' => $desk(fn ($tickets) => $tickets[$find($tickets, 'conversation_id', $id)]['messages'], false)]);
});
$app['router']->get('/login', fn () => response('<!DOCTYPE html><html><body>Sign in</body></html>'))->name('login');
$app['router']->getRoutes()->refreshNameLookups();

$kernel = $app->make(Illuminate\Contracts\Http\Kernel::class);
$response = $kernel->handle($request = Request::capture());
$response->send();
$kernel->terminate($request, $response);
