/** What the customer meets when a third party asks from elsewhere, and what attackers try with it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql, z } from '@bankside/service-kit/postgres'
import { refusal } from './testing/authorise.ts'
import { enterCustomer, freshCode, lodgeAccounts, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { Browser, CustomerAtBrowser, fill, formOf } from './testing/browser.ts'
import { CibaClient, intent } from './testing/ciba-client.ts'
import { openLatest, signedInAtDashboard, waitingFor } from './testing/dashboard-customer.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'

let server: TestServer
let acorn: CibaClient
let desk: CibaClient

before(async () => {
  server = await startTestServer()
  acorn = await CibaClient.register(server, 'acorn')
  desk = await CibaClient.register(server, 'desk', { firstParty: true })
})
after(() => server.stop())

let customers = 0
const somebody = () => enterCustomer(server, `somebody-${++customers}`)

type Asked = { readonly id: string; readonly bob: TestCustomer; readonly consentId: string }

async function asked(claims: Record<string, unknown> = {}, bob?: TestCustomer): Promise<Asked> {
  const customer = bob ?? (await somebody())
  const consentId = await lodgeAccounts(server, 'acorn')
  return { id: await acorn.asked({ login_hint: customer.username, ...intent(consentId), ...claims }), bob: customer, consentId }
}

async function askedToPay(claims: Record<string, unknown> = {}): Promise<Asked> {
  const bob = await somebody()
  const consentId = await lodgePayment(server, 'acorn')
  const id = await acorn.asked({ login_hint: bob.username, scope: 'openid payments', ...intent(consentId), ...claims })
  return { id, bob, consentId }
}

const statusOf = async ({ consentId }: Asked) => (await readConsent(server, consentId)).status
const outcomeOf = ({ consentId }: Asked) =>
  server.owner.oneFirst(sql.unsafe`select outcome from oidc.backchannel_authentication_request where consent_id = ${consentId}`)

test('CIBA-13 CX-01 the overview tells of it, the list shows who wants what with the words to compare, and when it ends', async () => {
  const question = await askedToPay({ binding_message: 'TILL 3' })
  const at = await signedInAtDashboard(server, question.bob)
  const overview = await at.browser.get('/connected-accounts')
  assert.match(overview.text, /href="\/connected-accounts\/requests">One request waits for your answer/)
  const list = await at.browser.get('/connected-accounts/requests')
  for (const shown of [/Client acorn/, /Wants you to pay £165\.88 to ACME Inc/, /TILL 3/, /Answer before/]) assert.match(list.text, shown)
  await asked({}, question.bob)
  assert.match((await at.browser.get('/connected-accounts')).text, /2 requests wait for your answer/)
})

test('CX-PIS-04 CX-PIS-01 CIBA-13 a payment asks for a code of its own, bound to it; payee, amount and words are on both pages', async () => {
  const question = await askedToPay({ binding_message: 'TILL 3' })
  const at = await signedInAtDashboard(server, question.bob)
  const code = await openLatest(at)
  for (const page of [code, await at.enterCode(code)])
    for (const shown of [/£165\.88/, /ACME Inc/, /TILL 3/, /Client acorn/, /Say no/]) assert.match(page.text, shown)
  const challenge = await server.owner.one(sql.type(challengeRow)`
    select consent_id, answered_at is not null as answered, spent_at is not null as spent from customers.sca_challenge
    where customer_id = ${question.bob.customerId} and consent_id is not null`)
  assert.deepEqual({ ...challenge }, { consent_id: question.consentId, answered: true, spent: false })
  const done = await at.agree(await openLatest(at), question.bob.accounts.slice(0, 1))
  assert.match(done.text, /You said yes/)
  assert.equal(await statusOf(question), 'AUTH')
})

const challengeRow = z.object({ consent_id: z.string().nullable(), answered: z.boolean(), spent: z.boolean() })

test('CX-PIS-04 a payment is not agreed to without its code: not by posting the next page’s button, not with the code of the sign-in', async () => {
  const question = await askedToPay()
  const at = await signedInAtDashboard(server, question.bob)
  const page = await openLatest(at)
  const confirmed = await at.submit(page, { action: 'confirm', account: question.bob.accounts[0] ?? '' })
  assert.match(confirmed.text, /Enter your code|6-digit code/)
  assert.equal(await statusOf(question), 'AWAU')
  const used = await server.owner.oneFirst(
    sql.unsafe`select max(step) from customers.totp_step_used where customer_id = ${question.bob.customerId}`,
  )
  assert.ok(used !== null)
  assert.equal(refusal(await acorn.poll(question.id)), '400 authorization_pending')
})

test('CX-PIS-04 SCA-02 five wrong codes end it: the client is told access_denied, the consent is rejected with U037', async () => {
  const question = await askedToPay()
  const at = await signedInAtDashboard(server, question.bob)
  let page = await openLatest(at)
  for (let times = 0; times < 5; times++) page = await at.submit(page, { code: '000000' })
  assert.match(page.text, /cannot sign in right now|already been answered|You said no/)
  assert.equal((await readConsent(server, question.consentId)).status_reason_code, 'U037')
  assert.equal(refusal(await acorn.poll(question.id)), '400 access_denied')
})

test('CIBA-13 an app of the bank asks who it is: a page says what it may then see, and yes gives it just that', async () => {
  const bob = await somebody()
  const id = await desk.asked({ login_hint: bob.username, scope: 'openid accounts:read', binding_message: 'DESK 7' })
  const at = await signedInAtDashboard(server, bob)
  const page = await openLatest(at)
  for (const shown of [/Tell .*Client desk.* that it is you/, /See your accounts/, /DESK 7/, /Yes, it is me/])
    assert.match(page.text, shown)
  assert.doesNotMatch(page.text, /Prepare payments/)
  assert.equal(refusal(await desk.poll(id)), '400 authorization_pending')
  assert.match((await at.submit(page, { action: 'confirm' })).text, /You said yes/)
  const tokens = await desk.poll(id)
  assert.deepEqual([tokens.status, tokens.json['scope']], [200, 'openid accounts:read'])
})

test('CIBA-13 another customer’s request is not there: not in the list, not by its address, not by posting to it', async () => {
  const question = await asked()
  const at = await signedInAtDashboard(server, question.bob)
  const [href = ''] = await waitingFor(at)
  const page = await at.browser.get(href)
  const eve = await signedInAtDashboard(server, await somebody())
  assert.deepEqual(await waitingFor(eve), [])
  assert.equal((await eve.browser.get(href)).status, 404)
  const form = formOf(page)
  const posted = await eve.browser.post(href, fill(form, { action: 'confirm', account: eve.customer.accounts[0] ?? '' }))
  assert.equal(posted.status, 404)
  assert.equal((await eve.browser.get(`/connected-accounts/requests/bar_${'0'.repeat(32)}`)).status, 404)
  assert.equal(await outcomeOf(question), null)
})

test('CX-18 BCP-12 pages belong to one session: those of another of the same customer, old ones, made-up tokens and other sites are refused', async () => {
  const question = await asked()
  const [one, other] = [await signedInAtDashboard(server, question.bob), await signedInAtDashboard(server, question.bob)]
  const page = await openLatest(one)
  const form = formOf(page)
  const yes = fill(form, { action: 'confirm', account: question.bob.accounts[0] ?? '' })
  await openLatest(other)
  const madeUp = new URLSearchParams(yes)
  madeUp.set('page_token', `1.${'A'.repeat(43)}`)
  const without = new URLSearchParams(yes)
  without.delete('page_token')
  for (const attempt of [
    other.browser.post(form.action, yes),
    one.browser.post(form.action, madeUp),
    one.browser.post(form.action, without),
  ])
    assert.equal((await attempt).status, 409)
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  assert.equal((await one.browser.post(form.action, yes, foreign)).status, 403)
  assert.equal(await outcomeOf(question), null)
  const nobody = new Browser(server)
  assert.equal((await nobody.post(form.action, yes)).headers['location'], '/connected-accounts/sign-in')
})

test('CX-18 CX-15 a page is answered once: sent again it does nothing, and coming back tells how it ended', async () => {
  const question = await asked()
  const at = await signedInAtDashboard(server, question.bob)
  const form = formOf(await openLatest(at))
  const yes = fill(form, { action: 'confirm', account: question.bob.accounts[0] ?? '' })
  const answers = await Promise.all(Array.from({ length: 8 }, () => at.browser.post(form.action, yes)))
  assert.ok(answers.every(({ status }) => [200, 303, 409].includes(status)))
  assert.equal(await outcomeOf(question), 'approved')
  const { grant_id } = await readConsent(server, question.consentId)
  const no = fill(form, { action: 'cancel' })
  await at.browser.post(form.action, no)
  assert.equal(await statusOf(question), 'AUTH')
  assert.equal((await readConsent(server, question.consentId)).grant_id, grant_id)
  assert.match((await at.browser.get(form.action)).text, /You said yes/)
  const grants = await server.owner.oneFirst(sql.unsafe`
    select count(*) from oidc.grant where customer_id = ${question.bob.customerId} and revoked_at is null`)
  assert.equal(grants, 1n, 'the grants of the answers that lost are gone')
})

test('CIBA-13 two customers in one browser: who signs in later sees and answers only their own', async () => {
  const [mine, theirs] = [await asked(), await asked()]
  const at = await signedInAtDashboard(server, mine.bob)
  const page = await openLatest(at)
  const cookie = at.browser.cookie('__Host-bankside_dashboard')
  const later = await signedInAtDashboard(server, theirs.bob)
  for (const { name, value, path } of later.browser.cookies.values()) at.browser.put({ name, value, path })
  const form = formOf(page)
  const posted = await at.browser.post(form.action, fill(form, { action: 'confirm', account: mine.bob.accounts[0] ?? '' }))
  assert.equal(posted.status, 404)
  assert.deepEqual([await outcomeOf(mine), await outcomeOf(theirs)], [null, null])
  if (cookie) at.browser.put(cookie)
  assert.match((await at.browser.follow(await at.browser.get(form.action))).text, /Share account information/)
})

test('CIBA-13 accounts of somebody else, or none, are not agreed to: the page says what to do', async () => {
  const [question, eve] = [await asked(), await somebody()]
  const at = await signedInAtDashboard(server, question.bob)
  let page = await openLatest(at)
  page = await at.agree(page, [])
  assert.match(page.text, /There is a problem|Choose|choose/)
  page = await at.agree(page, eve.accounts.slice(0, 1))
  assert.equal(await outcomeOf(question), null)
  assert.match((await at.agree(page, question.bob.accounts.slice(0, 1))).text, /You said yes/)
})

test('PAR-03 CX-18 a consent that is taken back, or decided another way, while its page is open: nothing happens, the client is told access_denied', async () => {
  const deleted = await asked()
  const at = await signedInAtDashboard(server, deleted.bob)
  const page = await openLatest(at)
  await server.owner.query(sql.unsafe`update consents.consent set deleted_at = now() where consent_id = ${deleted.consentId}`)
  assert.match((await at.agree(page, deleted.bob.accounts.slice(0, 1))).text, /already been answered/)
  assert.equal(refusal(await acorn.poll(deleted.id)), '400 access_denied')

  const payment = await askedToPay()
  const payer = await signedInAtDashboard(server, payment.bob)
  const confirm = await payer.enterCode(await openLatest(payer))
  await server.owner.query(sql.unsafe`
    update consents.consent set status = 'RJCT', status_updated_at = now() where consent_id = ${payment.consentId}`)
  assert.match((await payer.agree(confirm, payment.bob.accounts.slice(0, 1))).text, /already been answered/)
  assert.equal(refusal(await acorn.poll(payment.id)), '400 access_denied')
})

test('CX-PIS-04 a code that was answered for other terms pays nothing', async () => {
  const question = await askedToPay()
  const at = await signedInAtDashboard(server, question.bob)
  const confirm = await at.enterCode(await openLatest(at))
  await server.owner.query(
    sql.unsafe`update customers.sca_challenge set binding_hash = 'x'::bytea where consent_id = ${question.consentId}`,
  )
  const tried = await at.agree(confirm, question.bob.accounts.slice(0, 1))
  assert.doesNotMatch(tried.text, /You said yes/)
  assert.notEqual(await statusOf(question), 'AUTH')
})

test('CIBA-13 a client that is blocked asks nothing any more: its request is not in the list and cannot be agreed to', async () => {
  const fir = await CibaClient.register(server, 'firs')
  const bob = await somebody()
  await fir.asked({ login_hint: bob.username, ...intent(await lodgeAccounts(server, 'firs')) })
  const at = await signedInAtDashboard(server, bob)
  const page = await openLatest(at)
  await server.owner.query(sql.unsafe`update clients.client set status = 'blocked' where client_id = 'firs'`)
  const answered: Answer = await at.agree(page, bob.accounts.slice(0, 1))
  assert.equal(answered.status, 400)
  assert.deepEqual(await waitingFor(at), [])
})

test('CIBA-05 STEP-01 max_age: who signed in too long before the request signs in again', async () => {
  const bob = await somebody()
  const at = await signedInAtDashboard(server, bob)
  await server.owner.query(sql.unsafe`
    update customers.session set created_at = created_at - interval '10 minutes' where customer_id = ${bob.customerId}`)
  await asked({ max_age: 3_600 }, bob)
  assert.equal((await openLatest(at)).status, 200, 'not too long')
  const question = await asked({ max_age: 60 }, bob)
  const [href = ''] = await waitingFor(at)
  const sent = await at.browser.get(href)
  assert.deepEqual([sent.status, sent.headers['location']], [303, '/connected-accounts/sign-in'])
  const again = await signedInAtDashboard(server, bob)
  await again.agree(await openLatest(again), bob.accounts.slice(0, 1))
  const { auth_time } = JSON.parse(
    Buffer.from(String((await acorn.poll(question.id)).json['id_token']).split('.')[1] ?? '', 'base64url').toString('utf8'),
  ) as { auth_time: number }
  assert.ok(Date.now() / 1000 - auth_time < 60)
  await asked({ max_age: 0 }, bob)
  const [href0 = ''] = await waitingFor(again)
  assert.equal((await again.browser.get(href0)).headers['location'], '/connected-accounts/sign-in', 'nothing is older than the request')
})

test('CIBA-13 five in a row without a yes, and the next is refused for an hour: 403 access_denied; a yes begins anew, another client is another matter', async () => {
  const bob = await somebody()
  const ask = async (client: CibaClient) =>
    client.ask({ login_hint: bob.username, ...intent(await lodgeAccounts(server, client.clientId)) })
  for (let times = 0; times < 5; times++) assert.equal((await ask(acorn)).status, 200)
  assert.equal(refusal(await ask(acorn)), '403 access_denied')
  const birch = await CibaClient.register(server, 'birch')
  assert.equal((await ask(birch)).status, 200)
  const at = await signedInAtDashboard(server, bob)
  const hrefs = await waitingFor(at)
  assert.equal(hrefs.length, 6)
  await at.agree(await at.browser.get(hrefs[1] ?? ''), bob.accounts.slice(0, 1))
  assert.equal((await ask(acorn)).status, 200)
  await server.owner.query(sql.unsafe`
    update oidc.backchannel_authentication_request set created_at = created_at - interval '61 minutes' where customer_id = ${bob.customerId}`)
  assert.equal((await ask(acorn)).status, 200)
})

test('CIBA-13 of eight questions to one customer at once no more are shown than may be; ten open in all', async () => {
  const bob = await somebody()
  const consents = await Promise.all(Array.from({ length: 8 }, () => lodgeAccounts(server, 'acorn')))
  const answers = await Promise.all(consents.map((consentId) => acorn.ask({ login_hint: bob.username, ...intent(consentId) })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 5)
  assert.equal(answers.filter((answer) => refusal(answer) === '403 access_denied').length, 3)
  for (const clientId of ['more-one', 'more-two']) {
    const client = await CibaClient.register(server, clientId)
    for (let times = 0; times < 5; times++) await client.ask({ login_hint: bob.username, ...intent(await lodgeAccounts(server, clientId)) })
  }
  const at = await signedInAtDashboard(server, bob)
  assert.equal((await waitingFor(at)).length, 10)
})

test('DB-05 CX-19 the customer is told by an event, and question and answer are on record with what was shown', async () => {
  const question = await asked({ binding_message: 'A1-B2' })
  const at = await signedInAtDashboard(server, question.bob)
  await at.agree(await openLatest(at), question.bob.accounts.slice(0, 1))
  const events = await server.owner.anyFirst(sql.unsafe`
    select e.type from events.event e join oidc.backchannel_authentication_request r on r.request_id = e.subject
    where r.consent_id = ${question.consentId} and e.customer_id = ${question.bob.customerId} order by e.event_number`)
  assert.deepEqual([...events], ['backchannel_request.asked', 'backchannel_request.approved'])
  const records = await server.owner.any(sql.type(z.object({ actor: z.string(), action: z.string(), details: z.string() }))`
    select a.actor, a.action, a.details::text as details from audit.record a join oidc.backchannel_authentication_request r on r.request_id = a.subject
    where r.consent_id = ${question.consentId} order by a.occurred_at`)
  assert.deepEqual(
    records.map(({ actor, action }) => [actor, action]),
    [
      ['acorn', 'backchannel_request.asked'],
      [question.bob.customerId, 'backchannel_request.approved'],
    ],
  )
  assert.ok(records.every(({ details }) => details.includes('A1-B2')))
  assert.ok(!server.logged.some((line) => line.includes(question.id) || line.includes(question.bob.username)), 'no log knows id or name')
})

test('CIBA-13 a row whose customer was exchanged in the table is nobody’s', async () => {
  const [question, eve] = [await asked(), await somebody()]
  await server.owner.query(sql.unsafe`
    update oidc.backchannel_authentication_request set customer_id = ${eve.customerId} where consent_id = ${question.consentId}`)
  assert.deepEqual(await waitingFor(await signedInAtDashboard(server, eve)), [])
})

test('CX-11 without a session the list leads to sign-in, and a dashboard that was idle does too', async () => {
  const bob = await somebody()
  const fresh = new CustomerAtBrowser(server, bob)
  assert.equal((await fresh.browser.get('/connected-accounts/requests')).headers['location'], '/connected-accounts/sign-in')
  const at = await signedInAtDashboard(server, bob)
  assert.match(await freshCode(server, bob), /^\d{6}$/)
  await server.owner.query(sql.unsafe`
    update customers.session set last_seen_at = now() - interval '301 seconds' where customer_id = ${bob.customerId}`)
  assert.equal((await at.browser.get('/connected-accounts/requests')).status, 303)
})
