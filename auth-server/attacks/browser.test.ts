import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact } from '@bankside/service-kit/postgres'
import { pushed } from '../testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, readConsent, type TestCustomer } from '../testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, fill, formOf, responseOf } from '../testing/browser.ts'
import { startTestServer, type TestServer } from '../testing/test-server.ts'
import { intentClaim, ThirdParty } from '../testing/third-party.ts'

let server: TestServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  acorn = await ThirdParty.register(server, 'acorn')
})
after(() => server.stop())

const signInCookie = '__Host-bankside_sign_in'

test('CX-11 session fixation: a sign-in cookie that somebody knew before opens nothing once its customer has signed in', async () => {
  const victim = new CustomerAtBrowser(server, ada)
  const signIn = await victim.browser.follow(await victim.browser.get('/connected-accounts'))
  const attacker = new Browser(server)
  const fixed = victim.browser.cookie(signInCookie)
  assert.ok(fixed)
  attacker.put(fixed)
  const second = await victim.submit(signIn, { username: ada.username, password: ada.password })
  const seenBetween = formOf(await attacker.get('/connected-accounts/sign-in'))
  assert.match((await victim.submit(second, { code: await freshCode(server, ada) })).text, /Signed in as/)

  const nothing = { username: '', password: '', code: '' }
  assert.equal((await attacker.post(seenBetween.action, fill(seenBetween, nothing))).status, 409)
  const page = formOf(await attacker.get('/connected-accounts/sign-in'))
  assert.notEqual(attacker.cookie(signInCookie)?.value, fixed.value, 'a new way through sign-in')
  const later = await attacker.follow(await attacker.post(page.action, fill(page, nothing)))
  assert.match(later.text, /Enter your username/)
  assert.equal(attacker.cookie('__Host-bankside_dashboard'), undefined)
})

test('OIDC-01 mixed customers: who signs in while another did in another tab gets their own answer, and no page of the library', async () => {
  const atHome = new CustomerAtBrowser(server, ada)
  const page = await atHome.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  const otherTab = new CustomerAtBrowser(server, bob)
  Object.assign(otherTab, { browser: atHome.browser })
  const choose = await otherTab.signIn(
    await otherTab.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) })),
  )
  assert.ok(responseOf(await otherTab.agree(choose, bob.accounts.slice(0, 1)))['code'])
  const { code = '' } = responseOf(await atHome.agree(await atHome.signIn(page), ada.accounts.slice(0, 1)))
  assert.equal((await acorn.redeem(code)).status, 200)
})

test('CX-18 yes and no at once: a no that comes while the yes is being written is the last word', async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const customer = new CustomerAtBrowser(server, ada)
  const choose = formOf(await customer.signIn(await customer.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) }))))
  const yes = fill(choose, { action: 'confirm', account: ada.accounts.slice(0, 1) })
  const [agreed, declined] = await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`select from consents.consent where consent_id = ${consentId} for update`)
    const agreeing = customer.browser.post(choose.action, yes)
    await sleep(300)
    const again = formOf(await customer.browser.get(choose.action))
    const declining = customer.browser.post(again.action, fill(again, { action: 'cancel' }))
    await sleep(300)
    return [agreeing, declining] as const
  }).then((both) => Promise.all(both))
  const answer = responseOf(await customer.browser.follow(declined))
  assert.equal(answer['error'], 'access_denied')
  assert.equal((await readConsent(server, consentId)).status, 'RJCT')
  assert.doesNotMatch((await customer.browser.follow(agreed)).headers['location'] ?? '', /code=/)
})
