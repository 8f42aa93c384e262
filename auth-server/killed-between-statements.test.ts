/**
 * A server process is killed with -9 after each statement of an act in turn, before its answer arrives. Then a fresh process is
 * asked again, in the same words and in others. What was used is never usable again; what may be repeated still is.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authorisedTokens, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, responseOf } from './testing/browser.ts'
import { CibaClient, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import type { Answer } from './testing/exchange.ts'
import { type ServerProcess, type ServerProcesses, startServerProcesses } from './testing/server-processes.ts'
import { StatementLink } from './testing/statement-link.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

type Victim = { readonly process: ServerProcess; readonly link: StatementLink }
/** The same thing used again and again; whether that succeeded. */
type Uses = readonly (() => Promise<boolean>)[]

const mostStatements = 60
const cc = { grant_type: 'client_credentials', scope: 'accounts' }

let server: ServerProcesses
let ada: TestCustomer
let acorn: ThirdParty
let birch: CibaClient
/** Signed in once: what is killed here is not the sign-in. */
let one: CustomerAtBrowser
let other: CustomerAtBrowser
let atDashboard: CustomerAtBrowser
let next: Promise<Victim>

before(async () => {
  server = await startServerProcesses(0)
  next = launchVictim()
  server.prefer((await next).process)
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
  birch = await CibaClient.register(server, 'birch')
  ;[one, other] = [await signedIn(), await signedIn()]
  atDashboard = await signedInAtDashboard(server, ada)
})
after(async () => {
  const { link } = await next
  await server.stop()
  link.close()
})

async function signedIn(): Promise<CustomerAtBrowser> {
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, await requestUri()))
  await customer.agree(page, ada.accounts.slice(0, 1))
  return customer
}

const requestUri = async () => pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })

async function launchVictim(): Promise<Victim> {
  const link = await StatementLink.to(server.database.authServerUrl)
  return { link, process: await server.launch({ DATABASE_URL: link.url }) }
}

/** Kills at one boundary after the other, until the act is through before it. @returns how many uses succeeded at each. */
async function killAtEveryBoundary(prepare: () => Promise<Uses>): Promise<number[]> {
  const succeeded: number[] = []
  for (let statements = 0; statements < mostStatements; statements++) {
    const victim = await next
    next = launchVictim()
    server.prefer(victim.process)
    const [use, ...again] = await prepare()
    victim.link.arm(statements, () => void victim.process.child.kill('SIGKILL'))
    const results = [(await use?.().catch(() => false)) === true]
    const wasKilled = victim.link.disarm()
    await victim.process.kill()
    victim.link.close()
    server.prefer((await next).process)
    for (const repeat of again) results.push(await repeat())
    succeeded.push(results.filter((result) => result).length)
    if (!wasKilled) return succeeded
    assert.equal(results[0], false, 'the answer never arrived')
  }
  throw new Error('it never came to an end')
}

const ok = async (answer: Promise<Answer>) => (await answer).status < 300

function assertOnce(succeeded: readonly number[]): void {
  assert.ok(succeeded.length > 2, `${succeeded.length} boundaries`)
  assert.deepEqual(
    succeeded.filter((times) => times > 1),
    [],
    `succeeded ${succeeded.join(' ')}`,
  )
  assert.equal(succeeded[0], 1, 'what was not used is as good as before')
  assert.equal(succeeded.at(-1), 1, 'what was answered was used')
}

test('FAPI2-AZ-09 a code that was used is used, whenever the process is killed', async () => {
  assertOnce(
    await killAtEveryBoundary(async () => {
      const { code = '' } = responseOf(await one.agree(await one.open(acorn, await requestUri()), ada.accounts.slice(0, 1)))
      const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
      const same = () => ok(acorn.redeem(code, { client_assertion }, { headers: { dpop } }))
      return [same, same, () => ok(acorn.redeem(code)), () => ok(acorn.redeem(code))]
    }),
  )
})

test('FAPI2-CR-01 DPOP-03 an assertion and a proof that were used are used, whenever the process is killed', async () => {
  assertOnce(
    await killAtEveryBoundary(async () => {
      const [client_assertion, dpop] = [await acorn.assertion(), await acorn.proof(acorn.endpoint('/token'))]
      const same = () => ok(acorn.token({ ...cc, client_assertion }, { headers: { dpop } }))
      return [same, same, same]
    }),
  )
})

test('PAR-02 an assertion that pushed a request pushes no other, whenever the process is killed', async () => {
  assertOnce(
    await killAtEveryBoundary(async () => {
      const [client_assertion, claims] = [await acorn.assertion(), intentClaim(await lodgeAccounts(server, 'acorn'))]
      const same = () => ok(acorn.push({ claims, client_assertion }))
      return [same, same, same]
    }),
  )
})

test('PAR-06 FAPI2-AZ-15 a request_uri leads to one yes, whenever the process is killed, and a yes is not lost', async () => {
  const succeeded = await killAtEveryBoundary(async () => {
    const uri = await requestUri()
    const [page, otherPage] = [await one.open(acorn, uri), await other.open(acorn, uri)]
    const path = /action="(\/interaction\/[^"]+)"/.exec(page.text)?.[1] ?? ''
    const hasCode = async (answer: Answer) => {
      const code = URL.parse(answer.headers['location'] ?? '', server.issuer)?.searchParams.get('code')
      return code != null && (await ok(acorn.redeem(code)))
    }
    const agree = async (customer: CustomerAtBrowser, of: Answer) => hasCode(await customer.agree(of, ada.accounts.slice(0, 1)))
    return [
      () => agree(one, page),
      // By the back button first, then once more from the page that is still open.
      async () => hasCode(await one.browser.follow(await one.browser.get(path))),
      () => agree(one, page),
      () => agree(other, otherPage),
    ]
  })
  assertOnce(succeeded)
})

test('CIBA-09 an auth_req_id that was used is used, whenever the process is killed', async () => {
  assertOnce(
    await killAtEveryBoundary(async () => {
      const id = await birch.asked({ login_hint: ada.username, ...intent(await lodgeAccounts(server, 'birch')) })
      await atDashboard.agree(await openLatest(atDashboard), ada.accounts.slice(0, 1))
      const client_assertion = await birch.thirdParty.assertion()
      const poll = () => ok(birch.poll(id))
      return [() => ok(birch.poll(id, { client_assertion })), () => ok(birch.poll(id, { client_assertion })), poll, poll]
    }),
  )
})

test('FAPI2-AS-09 a refresh whose answer is lost may be repeated, whenever the process is killed: no consent is lost', async () => {
  const { tokens } = await authorisedTokens(acorn, ada)
  const refresh = () => ok(acorn.refresh(String(tokens.json['refresh_token'])))
  const succeeded = await killAtEveryBoundary(async () => [refresh, refresh, refresh])
  assert.ok(succeeded.length > 2)
  assert.deepEqual(succeeded, [...succeeded.slice(1).map(() => 2), 3])
})
