/**
 * PostgreSQL, and Redis, are killed with -9 after each statement of an act in turn, and right after its answer; the server
 * process lives on and says 503. When the store is back, what was used is still used.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@bankside/service-kit/embedded-postgres'
import { sql } from '@bankside/service-kit/postgres'
import { startTestRedis, type TestRedis, withoutRedis } from '@bankside/service-kit/test-redis'
import { pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { type ServerProcesses, startServerProcesses } from './testing/server-processes.ts'
import { StatementLink } from './testing/statement-link.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

type Uses = readonly (() => Promise<Answer>)[]

const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const mostStatements = 60

let folder: string
let postgres: EmbeddedPostgres
let link: StatementLink
let redis: TestRedis | undefined
let redisLink: StatementLink | undefined
let server: ServerProcesses
let ada: TestCustomer
let acorn: ThirdParty
let customer: CustomerAtBrowser

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bankside-killed-'))
  // One of its own, which waits for the disk as a bank's does: the one that tests share does not, and others use it.
  postgres = await startEmbeddedPostgres({ folder, settings: { autovacuum: 'off' } })
  process.env['TEST_DATABASE_URL'] = postgres.url
  server = await startServerProcesses(0)
  link = await StatementLink.to(server.database.authServerUrl)
  await server.launch({ DATABASE_URL: link.url })
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  customer = await signedIn()
})
after(async () => {
  await server?.stop()
  link?.close()
  redisLink?.close()
  await redis?.stop()
  await postgres?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const open = async (by: CustomerAtBrowser) =>
  by.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))

async function signedIn(): Promise<CustomerAtBrowser> {
  const by = new CustomerAtBrowser(server, ada)
  await by.agree(await by.signIn(await open(by)), ada.accounts.slice(0, 1))
  return by
}

const newCode = async () => responseOf(await customer.agree(await open(customer), ada.accounts.slice(0, 1)))['code'] ?? ''

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let times = 0; !(await isSo().catch(() => false)); times++) {
    assert.ok(times < 400, `${what} did not happen`)
    await sleep(50)
  }
}

/** The store and everybody who talks to it are back. */
const untilBack = () =>
  eventually('the end of 503', async () => {
    await server.owner.query(sql.unsafe`select 1`)
    return (await acorn.token(cc)).status === 200 && (await acorn.redeem('no-code-no-code-no-code-no-code-no-code-no')).status === 400
  })

/** @returns how many uses succeeded at each boundary; the last had its answer before the store was killed. */
async function killAtEveryBoundary(
  to: StatementLink,
  kill: () => void,
  revive: () => Promise<void>,
  prepare: () => Promise<Uses>,
): Promise<number[]> {
  const succeeded: number[] = []
  for (let statements = 0; statements < mostStatements; statements++) {
    const [use, ...again] = await prepare()
    to.arm(statements, kill)
    const first = await use?.()
    const wasKilled = to.disarm()
    if (!wasKilled) kill()
    await revive()
    await untilBack()
    const results = [first]
    for (const repeat of again) results.push(await repeat())
    succeeded.push(results.filter((answer) => answer?.status === 200).length)
    if (!wasKilled) return succeeded
    assert.equal(first?.status, 503, first?.text)
    assert.match(first?.headers['retry-after'] ?? '', /^[1-9]/)
  }
  throw new Error('it never came to an end')
}

function assertOnce(succeeded: readonly number[]): void {
  assert.ok(succeeded.length > 2, `${succeeded.length} boundaries`)
  assert.deepEqual(
    succeeded.filter((times) => times > 1),
    [],
    succeeded.join(' '),
  )
  assert.equal(succeeded.at(-1), 1, 'what was answered was used')
}

/** PostgreSQL takes the violent end of one of its processes for the end of all, and starts again from what is on the disk. */
const killPostgres = () => void process.kill(link.backendPid(), 'SIGKILL')

const code = async (): Promise<Uses> => {
  const used = await newCode()
  const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
  const same = () => acorn.redeem(used, { client_assertion }, { headers: { dpop } })
  return [same, same, () => acorn.redeem(used), () => acorn.redeem(used)]
}

test('FAPI2-AZ-09 a code that was used is used, whenever PostgreSQL is killed', async () => {
  assertOnce(await killAtEveryBoundary(link, killPostgres, async () => {}, code))
})

test('FAPI2-CR-01 DPOP-03 an assertion and a proof that were used are used, whenever PostgreSQL is killed', async () => {
  const assertion = async (): Promise<Uses> => {
    const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
    const same = () => acorn.token({ ...cc, client_assertion }, { headers: { dpop } })
    return [same, same, same]
  }
  assertOnce(await killAtEveryBoundary(link, killPostgres, async () => {}, assertion))
})

test('FAPI2-AZ-09 a code that was used is used, whenever Redis is killed', { skip: withoutRedis }, async () => {
  const started = await startTestRedis()
  redis = started
  redisLink = await StatementLink.to(started.url)
  const [process] = server.running
  server.prefer(await server.launch({ REDIS_URL: redisLink.url }))
  await process?.kill()
  customer = await signedIn()
  const gone: Promise<void>[] = []
  const kill = () => void gone.push(started.kill())
  const revive = async () => {
    await Promise.all(gone.splice(0))
    await started.restart()
  }
  assertOnce(await killAtEveryBoundary(redisLink, kill, revive, code))
})
