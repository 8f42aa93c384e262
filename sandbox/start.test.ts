/** `npm start` as a person meets it, in a folder of its own with a space in its name, with its own PostgreSQL. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runningPort } from '@bankside/service-kit/embedded-postgres'
import type { SandboxFile } from './sandbox-file.ts'

const parent = mkdtempSync(join(tmpdir(), 'bankside start '))
const home = join(parent, 'my sandbox')
/** Below the ports that Linux hands out to outgoing connections, above those of the acceptance tests. */
const base = randomInt(3_000, 3_150) * 10
const otherBase = base + 1_000
const startTakesAtMostMs = 90_000

const moreClients = join(parent, 'clients.json')
const brought = {
  client_id: 'rig-one',
  profile: 'fapi2_sp',
  token_endpoint_auth_method: 'tls_client_auth',
  sender_constraint: 'mtls',
  redirect_uris: ['https://rig.example/callback?dummy1=lorem'],
  scopes: ['openid', 'accounts'],
}
writeFileSync(moreClients, JSON.stringify({ clients: [brought] }))

type Run = { child: ChildProcess; said: () => string; ended: Promise<number | null> }

function run(file: string, environment: Record<string, string> = {}, args: string[] = []): Run {
  const { DATABASE_URL: _, ...inherited } = process.env
  const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
    env: { ...inherited, BANKSIDE_HOME: home, BANKSIDE_PORT_BASE: String(base), NODE_TEST_CONTEXT: '', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  return { child, said: () => said, ended: once(child, 'close').then(([code]) => code as number | null) }
}

async function outcome(
  file: string,
  environment: Record<string, string> = {},
  args: string[] = [],
): Promise<{ code: number | null; said: string }> {
  const { ended, said } = run(file, environment, args)
  return { code: await ended, said: said() }
}

async function until(what: string, condition: () => boolean | Promise<boolean>, said: () => string = () => ''): Promise<void> {
  for (const deadline = performance.now() + startTakesAtMostMs; !(await condition()); await sleep(50))
    if (performance.now() > deadline) assert.fail(`${what} did not happen\n${said()}`)
}

async function start(): Promise<Run> {
  const launched = run('start.ts', { BANKSIDE_SANDBOX_CLIENTS: moreClients })
  await until('the start', () => launched.said().includes('is running.') || launched.child.exitCode !== null, launched.said)
  assert.equal(launched.child.exitCode, null, launched.said())
  return launched
}

const sandbox = () => JSON.parse(readFileSync(join(home, 'sandbox.json'), 'utf8')) as SandboxFile
const processes = () => (JSON.parse(readFileSync(join(home, 'processes.json'), 'utf8')) as { pid: number }[]).map(({ pid }) => pid)
const isReady = (port: number) =>
  fetch(`http://127.0.0.1:${port}/health/ready`).then(
    ({ status }) => status === 200,
    () => false,
  )

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false // ESRCH is the answer that was asked for.
  }
}

let running: Run

before(async () => {
  running = await start()
})
after(async () => {
  running?.child.kill('SIGINT')
  await running?.ended
  await outcome('reset.ts')
  rmSync(parent, { recursive: true, force: true })
})

test('sandbox.json has all that a program needs, whole paths, and only its owner may read it or a key', () => {
  const { clients, customers, ca_file, server_cert_file, server_key_file, ...rest } = sandbox()
  assert.equal(statSync(join(home, 'sandbox.json')).mode & 0o777, 0o600)
  assert.deepEqual(rest, {
    issuer: `https://localhost:${base}`,
    mtls_issuer: `https://localhost:${base + 1}`,
    resource_api: `https://localhost:${base + 2}`,
    portal: null,
    automated_ciba_approval_url: `https://localhost:${base + 3}/ciba-approval?auth_req_id={auth_req_id}&action={action}`,
    registration: { endpoint: `https://localhost:${base + 1}/register`, audience: 'BanksideSandbox' },
    directory: {
      issuer: 'Bankside sandbox directory',
      origin: `https://localhost:${base + 9}`,
      jwks_uri: `https://localhost:${base + 9}/jwks`,
      revocation_list_uri: `https://localhost:${base + 9}/revoked.crl`,
    },
    audiences: { uk_open_banking: `https://localhost:${base + 2}/open-banking`, bank_api: `https://localhost:${base + 2}/api/v1` },
  })
  const ways = clients
    .filter(({ first_party: own, client_id: id }) => !own && id !== brought.client_id)
    .map((client) => `${client.token_endpoint_auth_method} ${client.sender_constraint}`)
  assert.deepEqual([...new Set(ways)], ['private_key_jwt dpop', 'private_key_jwt mtls', 'tls_client_auth dpop', 'tls_client_auth mtls'])
  assert.equal(clients.filter(({ first_party: own }) => own).length, 1)
  const files = [
    ca_file,
    server_cert_file,
    server_key_file,
    ...clients.flatMap((client) => [client.jwks_file, client.cert_file, client.key_file]),
  ]
  for (const file of files) assert.ok(file !== null && isAbsolute(file) && (statSync(file).mode & 0o077) === 0, String(file))
  assert.equal(customers.length, 5)
  for (const { totp_secret: secret, accounts } of customers) assert.ok(/^[A-Z2-7]+$/.test(secret) && accounts.length >= 2)
})

test('a client of the file given at start is registered and described like the sandbox’s own', async () => {
  const client = sandbox().clients.find(({ client_id }) => client_id === brought.client_id) ?? assert.fail()
  assert.deepEqual({ ...brought, first_party: false }, (({ jwks_file: _j, cert_file: _c, key_file: _k, ...rest }) => rest)(client))
  const status = await new Promise((done, failed) => {
    const options = {
      method: 'POST',
      ca: readFileSync(sandbox().ca_file),
      cert: readFileSync(client.cert_file),
      key: readFileSync(client.key_file ?? assert.fail()),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    }
    const asked = request(`${sandbox().mtls_issuer}/token`, options, (answer) => done(answer.resume().statusCode)).on('error', failed)
    asked.end(`grant_type=client_credentials&scope=accounts&client_id=${client.client_id}`)
  })
  assert.equal(status, 200)
})

test('a second start in the same folder says a plain sentence and changes nothing', async () => {
  const { code, said } = await outcome('start.ts')
  assert.equal(code, 1)
  assert.match(said, new RegExp(`A sandbox is running in .*my sandbox already \\(process ${running.child.pid}\\)`))
  assert.doesNotMatch(said, /\n\s+at /)
  assert.ok(await isReady(base + 4))
})

test('a taken port is named, with the setting that changes it', async () => {
  const { code, said } = await outcome('start.ts', { BANKSIDE_HOME: join(parent, 'other') })
  assert.equal(code, 1)
  assert.match(said, new RegExp(`Port ${base}, for the authorization server, is taken`))
  assert.match(said, /BANKSIDE_PORT_BASE=\d+ npm start/)
  assert.doesNotMatch(said, /\n\s+at /)
})

test('a folder that cannot be made, wrong settings and a database that is not there: plain sentences', async () => {
  const wrong = [
    [{ BANKSIDE_HOME: join(home, 'sandbox.json', 'below') }, /The folder .* cannot be used/],
    [{ BANKSIDE_PORT_BASE: '65530' }, /BANKSIDE_PORT_BASE: leaves no room/],
    [
      { BANKSIDE_HOME: join(parent, 'other'), BANKSIDE_PORT_BASE: String(otherBase), BANKSIDE_SANDBOX_CLIENTS: join(parent, 'none.json') },
      /The clients of .*none.json \(BANKSIDE_SANDBOX_CLIENTS\) cannot be registered:\n- .* cannot be read/,
    ],
    [
      {
        BANKSIDE_HOME: join(parent, 'other'),
        BANKSIDE_PORT_BASE: String(otherBase),
        DATABASE_URL: `postgresql://a:b@127.0.0.1:${base + 9}/x`,
      },
      /DATABASE_URL .* does not answer/,
    ],
  ] as const
  for (const [environment, sentence] of wrong) {
    const { code, said } = await outcome('start.ts', environment)
    assert.equal(code, 1)
    assert.match(said, sentence)
    assert.doesNotMatch(said, /\n\s+at /)
  }
})

test('the code of a demo customer has six digits; for nobody, the names are told', async () => {
  assert.match((await outcome('code.ts', {}, ['Amelia'])).said, /^\d{6}\n/)
  const nobody = await outcome('code.ts', {}, ['nobody'])
  assert.deepEqual([nobody.code, /amelia/.test(nobody.said)], [1, true])
})

test('reset refuses while the sandbox runs', async () => {
  const { code, said } = await outcome('reset.ts')
  assert.deepEqual([code, /is running .* Stop it/.test(said)], [1, true])
  assert.ok(existsSync(join(home, 'sandbox.json')))
})

test('a process that dies is started again, and that is said', async () => {
  const authServer = processes()[0] ?? assert.fail('no process')
  process.kill(authServer, 'SIGKILL')
  await until('the end of the process', () => running.said().includes('auth-server ended unexpectedly (SIGKILL)'), running.said)
  await until('its return', () => isReady(base + 4), running.said)
  assert.ok(!processes().includes(authServer))
})

test('after kill -9 of the launcher everything of it ends, and the next start goes on with the same data', async () => {
  const before = sandbox()
  const left = processes()
  running.child.kill('SIGKILL')
  await running.ended
  running = await start()
  assert.ok(!left.some(isAlive))
  assert.deepEqual(sandbox(), before)
})

test('Ctrl-C, twice, stops everything cleanly; the data stay; reset removes them', async () => {
  const left = processes()
  const before = sandbox()
  running.child.kill('SIGINT')
  running.child.kill('SIGINT')
  assert.equal(await running.ended, 0)
  assert.ok(!left.some(isAlive) && runningPort(join(home, 'postgres')) === undefined)
  assert.ok(!existsSync(join(home, 'sandbox.json')))
  const probe = createServer().listen(base, '127.0.0.1')
  await once(probe, 'listening')
  probe.close()
  running = await start()
  assert.deepEqual(sandbox().customers, before.customers)
  running.child.kill('SIGTERM')
  assert.equal(await running.ended, 0)
  assert.equal((await outcome('reset.ts')).code, 0)
  assert.ok(!existsSync(home))
})

test('Ctrl-C in the middle of a start ends it, and leaves nothing running', async () => {
  for (const afterMs of [300, 1_500]) {
    const interrupted = run('start.ts')
    await sleep(afterMs)
    interrupted.child.kill('SIGINT')
    // A signal that comes before the file has run at all ends the process by itself.
    assert.ok([0, null].includes(await interrupted.ended), interrupted.said())
    assert.equal(runningPort(join(home, 'postgres')), undefined)
    assert.ok(!existsSync(join(home, 'sandbox.json')))
  }
})
