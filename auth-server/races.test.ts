import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, fill, formOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

const racers = 8
const rounds = 3
let server: TestServer
let ada: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(() => server.stop())

const race = (run: () => Promise<Answer>): Promise<Answer[]> => Promise.all(Array.from({ length: racers }, run))
const won = (answers: readonly Answer[], status: number) => answers.filter((answer) => answer.status === status).length
const cc = { grant_type: 'client_credentials', scope: 'accounts' }

test('FAPI2-AZ-09 of eight uses of one code at once exactly one succeeds', async () => {
  for (let round = 0; round < rounds; round++) {
    const { code } = await authoriseAccounts(acorn, ada)
    const answers = await race(() => acorn.redeem(code))
    assert.equal(won(answers, 200), 1)
    assert.equal(answers.filter(({ json }) => json['error'] === 'invalid_grant').length, racers - 1)
  }
})

test('FAPI2-CR-01 of eight uses of one assertion at once exactly one succeeds', async () => {
  for (let round = 0; round < rounds; round++) {
    const client_assertion = await acorn.assertion()
    const answers = await race(() => acorn.token({ ...cc, client_assertion }))
    assert.equal(won(answers, 200), 1)
    assert.equal(answers.filter(({ json }) => json['error'] === 'invalid_client').length, racers - 1)
  }
})

test('DPOP-03 FAPI2-CR-11 of eight uses of one proof at once exactly one succeeds', async () => {
  for (let round = 0; round < rounds; round++) {
    const dpop = await acorn.proof(acorn.endpoint('/token'))
    const answers = await race(() => acorn.token(cc, { headers: { dpop } }))
    assert.equal(won(answers, 200), 1)
  }
})

test('PAR-06 FAPI2-AZ-15 of eight journeys that began with one request_uri exactly one ends with a yes', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const requestUri = await pushed(acorn, { claims: intentClaim(consentId) })
  const customers = Array.from({ length: racers }, () => new CustomerAtBrowser(server, ada))
  const pages: Answer[] = []
  for (const customer of customers) pages.push(await customer.signIn(await customer.open(acorn, requestUri)))
  const ends = await Promise.all(customers.map((customer, index) => customer.agree(pages[index] as Answer, ada.accounts.slice(0, 1))))
  const codes = ends.flatMap(({ headers }) => new URL(headers['location'] ?? server.issuer).searchParams.get('code') ?? [])
  assert.equal(codes.length, 1)
  assert.equal((await acorn.redeem(codes[0] ?? '')).status, 200)
})

test('CX-18 of eight submissions of one page at once exactly one is answered', async () => {
  const requestUri = await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })
  const customer = new CustomerAtBrowser(server, ada)
  const page = await customer.signIn(await customer.open(acorn, requestUri))
  const form = formOf(page)
  const filled = fill(form, { action: 'confirm', account: ada.accounts[0] ?? '' })
  const answers = await race(() => customer.browser.post(form.action, filled))
  assert.equal(won(answers, 303), 1)
  // An old page, or, to whom comes when it is over, how it ended.
  const isTold = ({ status, text }: Answer) => [400, 409].includes(status) || (status === 200 && text.includes('You have already agreed'))
  assert.equal(answers.filter(isTold).length, racers - 1)
})

test('CX-PIS-04 one code answers one challenge, however many pages ask at once', async () => {
  const eve = await enterCustomer(server, 'eve')
  const customers = Array.from({ length: 4 }, () => new CustomerAtBrowser(server, eve))
  const pages = await Promise.all(
    customers.map(async (customer) => {
      const requestUri = await pushed(acorn, { scope: 'openid payments', claims: intentClaim(await lodgePayment(server, 'acorn')) })
      return customer.submit(await customer.open(acorn, requestUri), { username: eve.username, password: eve.password })
    }),
  )
  const code = await freshCode(server, eve)
  const answers = await Promise.all(customers.map((customer, index) => customer.submit(pages[index] as Answer, { code })))
  assert.equal(answers.filter(({ text }) => text.includes('Check and confirm')).length, 1)
})

test('CX-11 of eight wrong passwords at once five are tried, and the account is locked', async () => {
  const mallory = await enterCustomer(server, 'mallory')
  const customers = Array.from({ length: racers }, () => new CustomerAtBrowser(server, mallory))
  const consents = await Promise.all(customers.map(() => lodgeAccounts(server, 'acorn')))
  const pages = await Promise.all(
    customers.map(async (customer, index) => customer.open(acorn, await pushed(acorn, { claims: intentClaim(consents[index] ?? '') }))),
  )
  const answers = await Promise.all(
    customers.map((customer, index) => customer.submit(pages[index] as Answer, { username: 'mallory', password: 'wrong' })),
  )
  assert.equal(answers.filter(({ text }) => text.includes('is not right')).length, 4)
  assert.equal(answers.filter(({ status }) => status === 429).length, racers - 4)
  const right = new CustomerAtBrowser(server, mallory)
  const late = await right.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  assert.equal((await right.submit(late, { username: 'mallory', password: mallory.password })).status, 429)
  assert.ok(
    (await Promise.all(consents.map((consentId) => readConsent(server, consentId)))).some(
      ({ status_reason_code }) => status_reason_code === 'U037',
    ),
  )
})

test('FAPI2-AZ-09 DPOP-03 a code comes to nothing with a proof that was used, or with a request that fails: it is used up all the same', async () => {
  const redeemed = async (change: (code: string) => Promise<Answer>) => {
    const { code, consentId } = await authoriseAccounts(acorn, ada)
    const failed = await change(code)
    const again = await acorn.redeem(code)
    return [failed.status, failed.json['error'], again.status, again.json['error'], (await readConsent(server, consentId)).status]
  }
  const dpop = await acorn.proof(acorn.endpoint('/token'))
  assert.equal((await acorn.token(cc, { headers: { dpop } })).status, 200)
  const spent = [400, 'invalid_grant', 400, 'invalid_grant', 'AUTH']
  assert.deepEqual(await redeemed((code) => acorn.redeem(code, {}, { headers: { dpop } })), spent)
  const elsewhere = { resource: 'https://elsewhere.example/' }
  assert.deepEqual(await redeemed((code) => acorn.redeem(code, elsewhere)), spent.with(1, 'invalid_target'))
})

test('FAPI2-AZ-09 of eight uses of one code at once, each with a proof of its own, one gets tokens and the others take them back', async () => {
  const { code } = await authoriseAccounts(acorn, ada)
  const answers = await race(() => acorn.redeem(code))
  const [first] = answers.filter(({ status }) => status === 200)
  assert.equal((await acorn.refresh(String(first?.json['refresh_token']))).json['error'], 'invalid_grant')
})
