/** docker-compose.yml is read here as text in the plain YAML that it keeps to, and compared with what the processes read. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readAuthServerConfig } from '@bankside/auth-server/config'
import { logSigner, parseAuditKeys, publicAuditKeys } from '@bankside/bank/audit/audit-keys'
import { readSettings as readResourceApiSettings } from '@bankside/resource-api/config'
import { readConfig } from '@bankside/service-kit/config'
import { freePorts } from '@bankside/service-kit/free-ports'
import { openRedis } from '@bankside/service-kit/redis'
import { withoutRedis } from '@bankside/service-kit/test-redis'
import { workerSettings } from '@bankside/worker/config'
import { rotateKeys } from './key-rotation.ts'
import { migrateSettings } from './migrate.ts'
import { prepareCompose } from './prepare-compose.ts'
import { ensureAuditKeys } from './secrets.ts'
import { repository } from './settings.ts'

const text = readFileSync(join(repository, 'docker-compose.yml'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'bankside compose '))
before(() => prepareCompose(folder))
after(() => rmSync(folder, { recursive: true, force: true }))

type Environment = Record<string, string>

/** The indented block under a line. */
function blockUnder(source: string, heading: string): string {
  const lines = source.split('\n')
  const start = lines.findIndex((line) => line.trimEnd() === heading)
  assert.notEqual(start, -1, `no ${heading.trim()}`)
  const indent = heading.length - heading.trimStart().length
  const end = lines.findIndex((line, index) => index > start && line.trim() !== '' && line.length - line.trimStart().length <= indent)
  return lines.slice(start + 1, end === -1 ? undefined : end).join('\n')
}

const service = (name: string) => blockUnder(blockUnder(text, 'services:'), `  ${name}:`)

/** As the container would have it, with the files of secrets where they are on this machine. */
function environmentOf(name: string): Environment {
  const lines = blockUnder(service(name), '    environment:').split('\n')
  const entries = lines.flatMap((line) => {
    const [, key, value] = /^ {6}([A-Z_]+): "?([^"]*)"?$/.exec(line) ?? []
    return key === undefined || value === undefined
      ? []
      : [
          [
            key,
            value
              .replace('/run/secrets/', `${folder}/`)
              .replace('/run/keys/', `${folder}/keys/`)
              .replace('/run/notification/', `${folder}/notification/`)
              .replace('/run/sealing/', `${folder}/sealing/`)
              .replace('/run/audit-public/', `${folder}/audit-public/`),
          ] as const,
        ]
  })
  return Object.fromEntries(entries)
}

/** Reads a process's settings and notes which names it asked for. */
function namesAskedBy(read: (environment: Environment) => unknown, environment: Environment): Set<string> {
  const asked = new Set<string>()
  read(
    new Proxy(environment, {
      get: (target, name) => {
        asked.add(String(name))
        return target[String(name)]
      },
    }),
  )
  return asked
}

const readers = {
  'auth-server': readAuthServerConfig,
  'resource-api': readResourceApiSettings,
  worker: (environment: Environment) => readConfig(workerSettings, environment),
  migrate: (environment: Environment) => readConfig(migrateSettings, environment),
}

for (const [name, read] of Object.entries(readers)) {
  test(`${name} starts with the environment of docker-compose.yml, and reads every name in it`, () => {
    const environment = environmentOf(name)
    const asked = namesAskedBy(read, environment)
    assert.ok(Object.keys(environment).length >= 4)
    assert.deepEqual(
      Object.keys(environment).filter((key) => !asked.has(key)),
      [],
    )
  })
}

test('every secret that a service mounts is declared, and is a file that is made for a trial, readable by its owner only', () => {
  const declared = [...blockUnder(text, 'secrets:').matchAll(/^ {2}([a-z_]+):$/gm)].map(([, name]) => name ?? '')
  const used = new Set([...text.matchAll(/\/run\/secrets\/([a-z_]+)/g)].map(([, name]) => name ?? ''))
  assert.deepEqual([...used].toSorted(), declared.toSorted())
  for (const name of declared) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
})

test('a service mounts exactly the secrets that its environment names', () => {
  for (const name of Object.keys(readers)) {
    const own = service(name)
    const mounted =
      /^ {4}secrets: \[(.*)\]$/m.exec(own)?.[1]?.split(', ') ??
      [...blockUnder(own, '    secrets:').matchAll(/- ([a-z_]+)/g)].map(([, secret]) => secret ?? '')
    const named = [...own.matchAll(/\/run\/secrets\/([a-z_]+)/g)].map(([, secret]) => secret ?? '')
    assert.deepEqual(mounted.toSorted(), [...new Set(named)].toSorted(), name)
  }
})

test('FAPI2-CR-09 the keys that one service renews are those that the other reads, in a folder that only the first writes to', () => {
  const [reads, renews] = [environmentOf('auth-server'), environmentOf('rotate-keys')]
  const { SIGNING_KEYS_FILE, SECRETS_FILE, NOTIFICATION_KEYS_FILE } = reads
  const { AUDIT_KEYS_FILE } = environmentOf('worker')
  const { AUDIT_PUBLIC_KEYS_FILE } = environmentOf('resource-api')
  assert.deepEqual(renews, { SIGNING_KEYS_FILE, SECRETS_FILE, NOTIFICATION_KEYS_FILE, AUDIT_KEYS_FILE, AUDIT_PUBLIC_KEYS_FILE })
  for (const path of Object.values(renews)) assert.equal(statSync(path ?? '').mode & 0o777, 0o600, path)
  assert.match(service('auth-server'), /keys:\/run\/keys:ro"/)
  assert.match(service('rotate-keys'), /keys:\/run\/keys"/)
  const shared = ['auth-server', 'worker', 'rotate-keys'].map((name) => environmentOf(name)['NOTIFICATION_KEYS_FILE'])
  assert.deepEqual(new Set(shared), new Set([join(folder, 'notification', 'keys')]))
  for (const name of ['auth-server', 'worker']) assert.match(service(name), /notification:\/run\/notification:ro"/)
  assert.doesNotMatch(service('worker'), /\/run\/keys/, 'what is the authorization server’s own')
  assert.match(service('worker'), /sealing:\/run\/sealing:ro"/)
  for (const name of ['auth-server', 'resource-api']) assert.doesNotMatch(service(name), /sealing/, 'what signs the audit tree')
})

test('whoever begins another audit log does it where the worker seals, as the owner of the database', () => {
  const [begins, seals] = [environmentOf('audit-begin'), environmentOf('worker')]
  for (const name of ['AUDIT_KEYS_FILE', 'AUDIT_CHECKPOINTS']) assert.equal(begins[name], seals[name], name)
  assert.equal(begins['DATABASE_URL_FILE'], environmentOf('migrate')['DATABASE_URL_FILE'])
  assert.match(service('audit-begin'), /profiles: \[restore\]/)
})

test('the key of the audit log is renewed where it is, and one that was a file of its own moves there, with its log', async () => {
  const own = join(folder, 'from-before')
  mkdirSync(own)
  await ensureAuditKeys(join(own, 'audit_keys'), 'audit.bank.example/ledger')
  const before = parseAuditKeys(readFileSync(join(own, 'audit_keys'), 'utf8'))
  await prepareCompose(own)
  const keys = join(own, 'sealing', 'keys')
  assert.deepEqual([parseAuditKeys(readFileSync(keys, 'utf8')), existsSync(join(own, 'audit_keys'))], [before, false])
  // The files are a moment old.
  const [now, hour] = [new Date(Date.now() + 60_000), 3_600]
  const auditPublicKeys = join(own, 'audit-public', 'keys')
  const files = {
    signingKeys: join(own, 'keys', 'signing_keys'),
    secrets: join(own, 'keys', 'auth_server_secrets'),
    auditKeys: keys,
    auditPublicKeys,
  }
  const published = () => parseAuditKeys(readFileSync(auditPublicKeys, 'utf8'))
  assert.deepEqual(published(), publicAuditKeys(before))
  await rotateKeys(files, { now, aheadSeconds: hour, keptSeconds: hour })
  const renewed = parseAuditKeys(readFileSync(keys, 'utf8'))
  const keyIdAt = (seconds: number) => logSigner(renewed, new Date(now.getTime() + 1000 * seconds)).signer.keyIdOf(before.origin)
  assert.deepEqual(keyIdAt(0), logSigner(before, now).signer.keyIdOf(before.origin))
  assert.notDeepEqual(keyIdAt(2 * hour + 1), keyIdAt(0))
  assert.deepEqual(published(), publicAuditKeys(renewed))
})

test('the Redis of the profile keeps what it is told, and its user may do what the authorization server does', {
  skip: withoutRedis,
}, async () => {
  const own = join(folder, 'with-redis')
  await prepareCompose(own, { redis: true })
  const port = await freePorts()
  const url = readFileSync(join(own, 'redis_url'), 'utf8').replace('@redis:6379', `@127.0.0.1:${port}`)
  const conf = join(own, 'redis_conf')
  writeFileSync(conf, readFileSync(conf, 'utf8').replace('dir /data', `dir "${join(own, 'redis')}"\nport ${port}\nbind 127.0.0.1`))
  const child = spawn('redis-server', [conf], { stdio: 'ignore' })
  try {
    const redis = await untilReached(() => openRedis({ url, onChange: () => {} }))
    await redis.check()
    await redis.end()
  } finally {
    child.kill('SIGKILL')
  }
  assert.equal(readFileSync(join(folder, 'redis_url'), 'utf8'), '', 'without, the setting is empty')
})

async function untilReached<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let times = 1; ; times++) {
    try {
      return await attempt()
    } catch (error) {
      if (times === 100) throw error
      await sleep(50)
    }
  }
}

test('no secret stands in the file, and our containers run without root on a disk they cannot write to', () => {
  assert.doesNotMatch(text, /(PASSWORD|SECRET|KEY)S?: /)
  assert.doesNotMatch(text, /postgres(ql)?:\/\//)
  const processes = blockUnder(text, 'x-process: &process')
  for (const line of ['read_only: true', 'cap_drop: [ALL]', 'BANKSIDE_UID:-1000}:']) assert.ok(processes.includes(line), line)
  for (const name of Object.keys(readers)) assert.ok(service(name).includes('<<: *process'), name)
})

test('every service but migrate has a health check, on the port that it serves', () => {
  for (const name of ['auth-server', 'resource-api', 'worker']) {
    assert.ok(service(name).includes(`sandbox/healthy.mjs, "${environmentOf(name)['OPERATIONS_PORT']}"`), name)
  }
  for (const name of ['postgres', 'redis']) assert.match(service(name), /healthcheck:/)
})
