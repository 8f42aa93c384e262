/** Eight at once, over two server processes that share PostgreSQL, and Redis where there is one. There is no device flow. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestRedis, type TestRedis, withoutRedis } from '@bankside/service-kit/test-redis'
import { authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser } from './testing/browser.ts'
import { CibaClient, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard } from './testing/dashboard-customer.ts'
import type { Answer } from './testing/exchange.ts'
import { type ServerProcesses, startServerProcesses } from './testing/server-processes.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

const racers = 8
const cc = { grant_type: 'client_credentials', scope: 'accounts' }
const race = (run: () => Promise<Answer>): Promise<Answer[]> => Promise.all(Array.from({ length: racers }, run))

function assertOneWon(answers: readonly Answer[], refusals: readonly string[]): void {
  const told = answers.map(({ status, json }) => (status === 200 ? 'won' : String(json['error'])))
  assert.equal(told.filter((one) => one === 'won').length, 1, told.join(' '))
  for (const one of told) assert.ok(one === 'won' || refusals.includes(one), one)
}

for (const store of ['PostgreSQL', 'Redis'] as const)
  describe(`over ${store}`, { skip: store === 'Redis' && withoutRedis }, () => {
    let redis: TestRedis | undefined
    let server: ServerProcesses
    let ada: TestCustomer
    let acorn: ThirdParty

    before(async () => {
      redis = store === 'Redis' ? await startTestRedis() : undefined
      server = await startServerProcesses(2, redis === undefined ? {} : { REDIS_URL: redis.url })
      ada = await enterCustomer(server, 'ada')
      acorn = await ThirdParty.register(server, 'acorn')
    })
    after(async () => {
      await server?.stop()
      await redis?.stop()
    })

    test(`FAPI2-AZ-09 of eight uses of one code at once, at two processes over ${store}, exactly one succeeds`, async () => {
      for (let round = 0; round < 3; round++) {
        const { code } = await authoriseAccounts(acorn, ada)
        assertOneWon(await race(() => acorn.redeem(code)), ['invalid_grant'])
      }
    })

    test(`FAPI2-CR-01 of eight uses of one assertion at once, at two processes over ${store}, exactly one succeeds`, async () => {
      for (let round = 0; round < 3; round++) {
        const client_assertion = await acorn.assertion()
        assertOneWon(await race(() => acorn.token({ ...cc, client_assertion })), ['invalid_client'])
      }
    })

    test(`DPOP-03 FAPI2-CR-11 of eight uses of one proof at once, at two processes over ${store}, exactly one succeeds`, async () => {
      for (let round = 0; round < 3; round++) {
        const dpop = await acorn.proof(acorn.endpoint('/token'))
        assertOneWon(await race(() => acorn.token(cc, { headers: { dpop } })), ['invalid_dpop_proof', 'invalid_grant'])
      }
    })

    test(`PAR-06 FAPI2-AZ-15 of eight journeys of one request_uri, at two processes over ${store}, exactly one ends with a yes`, async () => {
      const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
      const customers = Array.from({ length: racers }, () => new CustomerAtBrowser(server, ada))
      const pages: Answer[] = []
      for (const customer of customers) pages.push(await customer.signIn(await customer.open(acorn, requestUri)))
      const ends = await Promise.all(customers.map((customer, index) => customer.agree(pages[index] as Answer, ada.accounts.slice(0, 1))))
      const codes = ends.flatMap(({ headers }) => new URL(headers['location'] ?? '', server.issuer).searchParams.get('code') ?? [])
      assert.equal(codes.length, 1)
      assert.equal((await acorn.redeem(codes[0] ?? '')).status, 200)
    })

    test(`CIBA-09 of eight polls with one auth_req_id at once, at two processes over ${store}, exactly one gets the tokens`, async () => {
      const birch = await CibaClient.register(server, 'birch')
      const id = await birch.asked({ login_hint: ada.username, ...intent(await lodgeAccounts(server, 'birch')) })
      const at = await signedInAtDashboard(server, ada)
      await at.agree(await openLatest(at), ada.accounts.slice(0, 1))
      assertOneWon(await race(() => birch.poll(id)), ['invalid_grant', 'slow_down'])
      assert.notEqual((await birch.poll(id)).status, 200)
    })

    test(`both processes over ${store} took part, and neither failed`, () => {
      const lines = server.logged.map((line) => JSON.parse(line) as { pid: number; level: number; msg: string })
      const answered = new Map<number, number>()
      for (const { pid, msg } of lines) if (msg === 'request') answered.set(pid, (answered.get(pid) ?? 0) + 1)
      assert.equal(answered.size, 2)
      for (const requests of answered.values()) assert.ok(requests > 20, `${requests} requests`)
      assert.deepEqual(
        lines.filter(({ level }) => level >= 50),
        [],
      )
    })
  })
