import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, transact } from '@bankside/service-kit/postgres'
import { pushed } from '../testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, readConsent, type TestCustomer } from '../testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, fill, formOf, responseOf } from '../testing/browser.ts'
import { CibaClient, intent } from '../testing/ciba-client.ts'
import { signedInAtDashboard, waitingFor } from '../testing/dashboard-customer.ts'
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

test('clickjacking: no page, of a journey, the dashboard, a question from elsewhere, signing out or an error, can be framed or scripted (BCP-17 FAPI2-NET-08)', async () => {
  const ciba = await CibaClient.register(server, 'fapi-ciba-framed')
  await ciba.asked({ login_hint: ada.username, ...intent(await lodgeAccounts(server, ciba.clientId)) })
  const dashboard = await signedInAtDashboard(server, ada)
  const [question = ''] = await waitingFor(dashboard)
  const at = new CustomerAtBrowser(server, ada)
  const signIn = await at.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  const choose = await at.signIn(signIn)
  const pages = [signIn, choose, await at.browser.get('/session/end'), await new Browser(server).get('/auth?client_id=none')]
  for (const path of ['/connected-accounts', '/connected-accounts/requests', question, '/nowhere', '/connected-accounts/sign-in'])
    pages.push(await dashboard.browser.get(path))
  for (const { status, headers, text } of pages) {
    const policy = headers['content-security-policy'] ?? ''
    assert.match(policy, /frame-ancestors 'none'/, String(status))
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /script-src|unsafe/)
    assert.equal(headers['x-frame-options']?.toLowerCase(), 'deny')
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.doesNotMatch(text, /<script|\son\w+=|javascript:/i)
  }
})

test('CSRF: a form of another site does nothing on any page, though the browser is signed in (BCP-12 CX-18)', async () => {
  const ciba = await CibaClient.register(server, 'fapi-ciba-forged')
  const asked = await lodgeAccounts(server, ciba.clientId)
  const id = await ciba.asked({ login_hint: ada.username, ...intent(asked) })
  const dashboard = await signedInAtDashboard(server, ada)
  const [question = ''] = await waitingFor(dashboard)
  const consentId = await lodgeAccounts(server, 'acorn')
  const at = new CustomerAtBrowser(server, ada)
  const choose = await at.signIn(await at.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })))
  const yes = { action: 'confirm', account: ada.accounts.slice(0, 1) }
  const forms = [
    { browser: at.browser, form: formOf(choose), values: yes },
    { browser: dashboard.browser, form: formOf(await dashboard.browser.get(question)), values: yes },
    { browser: dashboard.browser, form: formOf(await dashboard.browser.get('/session/end')), values: { action: 'confirm' } },
    {
      browser: new Browser(server),
      form: formOf(await new Browser(server).get('/connected-accounts/sign-in')),
      values: { username: 'x', password: 'x' },
    },
  ]
  for (const { browser, form, values } of forms)
    for (const headers of [
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { origin: 'null', 'sec-fetch-site': 'cross-site' },
      { origin: 'https://evil.example', 'sec-fetch-site': '' },
      { origin: 'https://sub.localhost', 'sec-fetch-site': 'same-site' },
    ] as Record<string, string>[])
      assert.equal((await browser.post(form.action, fill(form, values), headers)).status, 403, form.action)
  assert.equal((await readConsent(server, consentId)).status, 'AWAU')
  assert.equal((await readConsent(server, asked)).status, 'AWAU')
  assert.equal((await ciba.poll(id)).json['error'], 'authorization_pending')
  assert.ok(responseOf(await at.agree(choose, ada.accounts.slice(0, 1)))['code'], 'the page itself is good as before')
})

test('CSRF: a page token of one page, one customer or one session is none for another (BCP-12 CX-18)', async () => {
  const open = async (customer: TestCustomer) => {
    const at = new CustomerAtBrowser(server, customer)
    const consentId = await lodgeAccounts(server, 'acorn')
    return { at, consentId, form: formOf(await at.signIn(await at.open(acorn, await pushed(acorn, { claims: intentClaim(consentId) })))) }
  }
  const [mine, theirs] = [await open(ada), await open(bob)]
  const page_token = theirs.form.fields.get('page_token') ?? ''
  const borrowed = await mine.at.browser.post(
    mine.form.action,
    fill(mine.form, { page_token, action: 'confirm', account: ada.accounts.slice(0, 1) }),
  )
  assert.equal(borrowed.status, 409)
  const inTheirs = await mine.at.browser.post(
    theirs.form.action,
    fill(theirs.form, { action: 'confirm', account: bob.accounts.slice(0, 1) }),
  )
  assert.equal(inTheirs.status, 400)
  const foreign = await mine.at.browser.post(mine.form.action, fill(mine.form, { action: 'confirm', account: bob.accounts.slice(0, 1) }))
  assert.doesNotMatch((await mine.at.browser.follow(foreign)).headers['location'] ?? '', /code=/, 'another customer’s account')
  for (const { consentId } of [mine, theirs]) assert.equal((await readConsent(server, consentId)).status, 'AWAU')
})

test('session: signing out ends the dashboard’s session also where the browser has no other (CX-11 LOGOUT-04)', async () => {
  const at = await signedInAtDashboard(server, ada)
  const cookie = at.browser.cookie('__Host-bankside_dashboard')
  assert.ok(cookie)
  const thief = new Browser(server)
  thief.put(cookie)
  assert.equal((await thief.get('/connected-accounts')).status, 200)
  // Nobody is told that they have signed out while they have not: the cookie does not come with what another site begins.
  const fromElsewhere = await new Browser(server).get('/session/end', { 'sec-fetch-site': 'cross-site' })
  assert.doesNotMatch(fromElsewhere.text, /You have signed out/)
  const asked = await at.browser.get('/session/end')
  assert.match((await at.submit(asked, { action: 'confirm' })).text, /You have signed out/)
  assert.equal((await thief.get('/connected-accounts')).status, 303)
})

test('session fixation: the session of a browser has another name once somebody has signed in, and the earlier opens nothing (CX-11 ATK-04)', async () => {
  const victim = new CustomerAtBrowser(server, ada)
  const page = await victim.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  const before = [...victim.browser.cookies.values()]
  assert.ok(responseOf(await victim.agree(await victim.signIn(page), ada.accounts.slice(0, 1)))['code'])
  const attacker = new CustomerAtBrowser(server, bob)
  for (const cookie of before) attacker.browser.put(cookie)
  const later = await attacker.open(acorn, await pushed(acorn, { claims: intentClaim(await lodgeAccounts(server, 'acorn')) }))
  assert.match(later.text, /name="password"/)
  const name = '__Host-bankside_session'
  assert.notEqual(victim.browser.cookie(name)?.value, before.find((cookie) => cookie.name === name)?.value)
})
