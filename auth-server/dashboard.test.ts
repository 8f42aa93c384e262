import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { appendAudit } from '@bankside/bank/audit/append-audit'
import { logSigner, logVerifiers } from '@bankside/bank/audit/audit-keys'
import { checkProof } from '@bankside/bank/audit/check-proof'
import { checkpointFile } from '@bankside/bank/audit/checkpoint-file'
import { sealRows } from '@bankside/bank/audit/seal-rows'
import { signTree } from '@bankside/bank/audit/sign-tree'
import { newAuditKeys } from '@bankside/bank/audit/testing/audited-bank'
import { setLimit } from '@bankside/bank/limits/set-limit'
import { sql, transact } from '@bankside/service-kit/postgres'
import { authorisedTokens, refusal } from './testing/authorise.ts'
import { enterCustomer, freshCode, lodgePayment, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { CustomerAtBrowser, fill, formOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { ThirdParty } from './testing/third-party.ts'

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

const heading = ({ text }: Answer) =>
  /<h1[^>]*>([\s\S]*?)<\/h1>/
    .exec(text)?.[1]
    ?.replace(/<[^>]+>/g, '')
    .trim()
/** The form whose address ends so: a page of the dashboard has two. */
const formAt = (page: Answer, end: string) => {
  const [, action = '', inside = ''] =
    [...page.text.matchAll(/<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g)].find(([, href]) => href?.endsWith(end)) ?? []
  return formOf({ ...page, text: `<form action="${action}">${inside}</form>` })
}

async function signedIn(customer: TestCustomer): Promise<{ at: CustomerAtBrowser; overview: Answer }> {
  const at = new CustomerAtBrowser(server, customer)
  const signIn = await at.browser.follow(await at.browser.get('/connected-accounts'))
  const second = await at.submit(signIn, { username: customer.username, password: customer.password })
  return { at, overview: await at.submit(second, { code: await freshCode(server, customer) }) }
}

test('DB-01 DB-02 DB-03 DB-04 DB-05 AIS-20 the customer sees who has access to what, and stops it: tokens are dead at once', async () => {
  const { consentId, tokens } = await authorisedTokens(acorn, ada)
  const { at, overview } = await signedIn(ada)
  assert.equal(heading(overview), 'Connected accounts')
  assert.match(overview.text, /Client acorn/)
  assert.match(overview.text, /Signed in as/)
  const detail = await at.browser.get(`/connected-accounts/${consentId}`)
  assert.match(detail.text, /Your account balance/)
  assert.match(detail.text, /Everyday/)
  assert.doesNotMatch(detail.text, /Holidays/)
  const stop = formAt(detail, consentId)
  const confirm = await at.browser.follow(await at.browser.post(stop.action, fill(stop, { action: 'stop' })))
  assert.equal(heading(confirm), 'Stop access for Client acorn')
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
  const sure = formAt(confirm, '/stop')
  const done = await at.browser.follow(await at.browser.post(sure.action, fill(sure, { action: 'confirm' })))
  assert.match(done.text, /You stopped access for Client acorn/)
  assert.equal((await readConsent(server, consentId)).status, 'CANC')
  assert.equal(refusal(await acorn.refresh(String(tokens.json['refresh_token']))), '400 invalid_grant')
  const grant = await server.owner.one(sql.unsafe`
    select revoked_at is not null as revoked from oidc.grant g join consents.consent c on c.grant_id = g.grant_id where c.consent_id = ${consentId}`)
  assert.deepEqual({ ...(grant as object) }, { revoked: true })
  assert.match((await at.browser.get(`/connected-accounts/${consentId}`)).text, /You stopped access/)
})

test('DB-04 keeping access changes nothing', async () => {
  const { consentId } = await authorisedTokens(acorn, ada)
  const { at } = await signedIn(ada)
  const confirm = await at.browser.get(`/connected-accounts/${consentId}/stop`)
  const form = formAt(confirm, '/stop')
  assert.match((await at.browser.follow(await at.browser.post(form.action, fill(form, { action: 'cancel' })))).text, /Stop access/)
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
})

test('DB-05 BCP-12 another customer, another site, a token of another form or none stops nothing', async () => {
  const { consentId } = await authorisedTokens(acorn, ada)
  const path = `/connected-accounts/${consentId}/stop`
  const { at } = await signedIn(ada)
  const { at: stranger } = await signedIn(bob)
  for (const address of [path, `/connected-accounts/${consentId}`]) {
    const seen = await stranger.browser.get(address)
    assert.equal(seen.status, 404)
    assert.doesNotMatch(seen.text, /acorn/)
  }
  const sure = formAt(await at.browser.get(path), '/stop')
  const detail = formAt(await at.browser.get(`/connected-accounts/${consentId}`), consentId)
  const token = sure.fields.get('page_token') ?? ''
  const attempts = [
    stranger.browser.post(path, new URLSearchParams({ page_token: token, action: 'confirm' })),
    at.browser.post(path, new URLSearchParams({ page_token: detail.fields.get('page_token') ?? '', action: 'confirm' })),
    at.browser.post(path, new URLSearchParams({ action: 'confirm' })),
    at.browser.post(path, new URLSearchParams({ page_token: token, action: 'confirm' }), {
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
    }),
  ]
  for (const { status } of await Promise.all(attempts)) assert.equal(status, 403)
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
})

test('DB-01 without a session every page leads to sign-in, and nothing is posted', async () => {
  const at = new CustomerAtBrowser(server, ada)
  for (const path of ['', `/con_${'0'.repeat(32)}`, `/con_${'0'.repeat(32)}/stop`]) {
    const { status, headers } = await at.browser.get(`/connected-accounts${path}`)
    assert.deepEqual([status, headers['location']], [303, '/connected-accounts/sign-in'])
  }
  const { status, headers } = await at.browser.post(
    `/connected-accounts/con_${'0'.repeat(32)}/stop`,
    new URLSearchParams({ action: 'confirm' }),
  )
  assert.deepEqual([status, headers['location']], [303, '/connected-accounts/sign-in'])
})

test('CX-11 a dashboard session ends after five idle minutes, and by signing out', async () => {
  const { at, overview } = await signedIn(ada)
  const cookie = at.browser.cookie('__Host-bankside_dashboard')
  const out = formAt(overview, '/sign-out')
  await at.browser.post(out.action, fill(out, {}))
  if (cookie) at.browser.put(cookie)
  assert.equal((await at.browser.get('/connected-accounts')).status, 303, 'the cookie that was kept opens nothing')

  const later = await signedIn(ada)
  assert.equal((await later.at.browser.get('/connected-accounts')).status, 200)
  await server.owner.query(sql.unsafe`update customers.session set last_seen_at = now() - interval '301 seconds'`)
  assert.equal((await later.at.browser.get('/connected-accounts')).status, 303)
})

test('CX-11 the dashboard’s sign-in locks like the other, and an old page of it is refused', async () => {
  const eve = await enterCustomer(server, 'eve')
  const at = new CustomerAtBrowser(server, eve)
  const first = await at.browser.get('/connected-accounts/sign-in')
  let page = first
  for (let times = 0; times < 4; times++) page = await at.submit(page, { username: 'eve', password: 'wrong' })
  assert.equal((await at.submit(first, { username: 'eve', password: eve.password })).status, 409)
  const locked = await at.submit(page, { username: 'eve', password: 'wrong' })
  assert.equal(locked.status, 429)
  assert.match(locked.text, /15 minutes/)
})

test('DB-02 DB-06 RW-ST-04 CERT-08 customers see that the bank has blocked a company, that one has lost its licence, and that one has ended its connection', async () => {
  const brook = await ThirdParty.register(server, 'brook')
  const { consentId } = await authorisedTokens(brook, ada)
  const { at } = await signedIn(ada)
  const become = async (status: string) => {
    await server.owner.query(sql.unsafe`update clients.client set status = ${status} where client_id = 'brook'`)
    return [await at.browser.get('/connected-accounts'), await at.browser.get(`/connected-accounts/${consentId}`)] as const
  }
  for (const page of await become('blocked')) {
    assert.match(page.text, /Paused/)
    assert.match(page.text, /We have blocked Client brook for now/)
  }
  const [, blocked] = await become('blocked')
  assert.match(blocked.text, /Stop access for/, 'it can be stopped for good')
  await server.owner.query(sql.unsafe`update clients.client set withdrawn_at = now(), status = 'withdrawn' where client_id = 'brook'`)
  const [withdrawnOverview, withdrawn] = await become('withdrawn')
  assert.doesNotMatch(withdrawnOverview.text, /Paused/)
  assert.match(withdrawn.text, /Client brook is no longer authorised to offer this/)
  assert.doesNotMatch(withdrawn.text, /Stop access for/)
  const [overview, gone] = await become('deleted')
  assert.doesNotMatch(overview.text, /Paused/)
  assert.match(gone.text, /Client brook has ended its connection with us/)
  assert.doesNotMatch(gone.text, /Stop access for/)
})

test('DB-02 a customer reads what became of a payment, and why it was not made', async () => {
  const customerId = String(
    await server.owner.oneFirst(sql.unsafe`select customer_id from ledger.account where account_id = ${ada.accounts[0] ?? ''}`),
  )
  const limit = { setBy: 'customer', scope: 'customer', subjectId: customerId, channel: undefined, period: 'day', soft: false } as const
  const now = new Date()
  const limitId = await transact(server.owner, (tx) =>
    setLimit(tx, { ...limit, most: { minor: 10_000n, currency: 'GBP' }, actor: customerId, now }),
  )
  const consents: string[] = []
  const stand = async (payment: object) => {
    const consentId = await lodgePayment(server, 'acorn')
    consents.push(consentId)
    // As the bank would have left them: how it gets there is tested where it does.
    await transact(server.owner, async (tx) => {
      await tx.query(sql.unsafe`set local session_replication_role = 'replica'`)
      await tx.query(sql.unsafe`
        update consents.consent set status = 'COND', customer_id = ${customerId}, authorised_at = created_at, debtor_account_id = ${ada.accounts[0] ?? ''}
        where consent_id = ${consentId}`)
      await tx.query(sql.unsafe`
        insert into payments.payment
        select (jsonb_populate_record(null::payments.payment, to_jsonb(c) || jsonb_build_object('payment_id', 'pay_' || substr(consent_id, 5), 'channel', 'uk_v4',
          'status', 'rejected', 'creditor_account_id', 'elsewhere', 'instruction_identification', 'i', 'end_to_end_identification', 'e', 'reference', 'r',
          'deadline_at', now(), 'lease', 0) || ${JSON.stringify(payment)}::jsonb)).* from consents.consent c where consent_id = ${consentId}`)
    })
    return consentId
  }
  const { at } = await signedIn(ada)
  const held = { status: 'held', hold_id: 'h', step: 'checks' }
  for (const [payment, words] of [
    [
      { rejection_reason: 'AM14', limit_id: limitId },
      'It was more than the limit you set yourself: £100.00 a day from all accounts together.',
    ],
    [{ rejection_reason: 'AM04' }, 'The payment was not made. There was not enough money in the account.'],
    [{ rejection_reason: 'U042' }, 'We stopped it to protect your money.'],
    [held, 'The payment is being made.'],
    [{ ...held, step: 'review' }, 'We look at this payment before we make it.'],
    [{ status: 'posted', hold_id: 'h', entry_id: 'e' }, 'The payment was made.'],
  ] as const)
    assert.ok((await at.browser.get(`/connected-accounts/${await stand(payment)}`)).text.includes(words), words)
  const stranger = await signedIn(bob)
  assert.equal((await stranger.at.browser.get(`/connected-accounts/${consents[0]}`)).status, 404)

  const [consentId = ''] = consents
  const proofHref = `/connected-accounts/${consentId}/proof`
  const paymentId = consentId.replace('con_', 'pay_')
  for (const [action, subject] of [
    ['consent.authorised', consentId],
    ['consent.consumed', consentId],
    ['payment.submitted', paymentId],
  ] as const)
    await transact(server.owner, (tx) => appendAudit(tx, { actor: 'x', action, subject, details: { consentId }, now }))
  assert.ok((await at.browser.get(`/connected-accounts/${consentId}`)).text.includes(`href="${proofHref}"`))
  const early = await at.browser.get(proofHref)
  assert.deepEqual([early.status, heading(early), early.headers['retry-after']], [409, 'The proof is not ready yet', '10'])
  const proof = await sealedProof(() => at.browser.get(proofHref))
  assert.equal(proof.headers['content-disposition'], `attachment; filename="${paymentId}.proof.json"`)
  assert.deepEqual([proof.headers['content-type'], proof.headers['cache-control']], ['application/json; charset=utf-8', 'no-store'])
  const { proven, problems } = checkProof(proof.text, logVerifiers(auditKeys))
  assert.deepEqual(problems, [])
  assert.match(proven.join('\n'), /no entry is proven: the money did not move/)
  await transact(server.owner, async (tx) => {
    await tx.query(sql.unsafe`set local session_replication_role = replica`)
    await tx.query(sql.unsafe`delete from audit.record where subject = ${paymentId}`)
    await tx.query(
      sql.unsafe`insert into audit.archive values ('record_old', '', 'aud_g', 1, 9, 1, 'old.jsonl.gz', repeat('0', 64), now())`,
    )
  })
  const archived = await at.browser.get(proofHref)
  assert.deepEqual([archived.status, heading(archived)], [410, 'The proof is in our archive'])
  assert.equal((await stranger.at.browser.get(proofHref)).status, 404)
  assert.equal((await new CustomerAtBrowser(server, ada).browser.get(proofHref)).status, 303)
  const { consentId: access } = await authorisedTokens(acorn, ada)
  assert.equal((await at.browser.get(`/connected-accounts/${access}/proof`)).status, 404)
})

const auditKeys = newAuditKeys()

/** As the worker would have sealed and signed it meanwhile. */
async function sealedProof(get: () => Promise<Answer>): Promise<Answer> {
  const [now, folder] = [new Date(), mkdtempSync(join(tmpdir(), 'bankside-dashboard-'))]
  const log = checkpointFile(join(folder, 'checkpoints.jsonl'))
  for (let answer = await get(); ; answer = await get()) {
    if (answer.status !== 409) return answer
    await sealRows(server.owner, { now })
    await signTree(server.owner, { log, signer: logSigner(auditKeys, now), now })
  }
}

test('customers set and end limits of their own, and nobody else’s, nor the bank’s', async () => {
  const carol = await enterCustomer(server, 'carol')
  const [account = ''] = carol.accounts
  const { at, overview } = await signedIn(carol)
  assert.match(overview.text, /href="\/connected-accounts\/limits"/)
  const bankLimit = {
    setBy: 'bank',
    scope: 'account',
    subjectId: account,
    channel: undefined,
    period: 'month',
    soft: false,
    actor: 'operator',
  } as const
  const now = new Date()
  const bankLimitId = await transact(server.owner, (tx) => setLimit(tx, { ...bankLimit, most: { minor: 500_000n, currency: 'GBP' }, now }))
  let page = await at.browser.get('/connected-accounts/limits')
  assert.match(page.text, /£5,000\.00 a month from this account/)
  assert.doesNotMatch(page.text, new RegExp(bankLimitId))
  const send = async (values: Record<string, string>) =>
    at.browser.follow(await at.browser.post('/connected-accounts/limits', fill(formAt(page, '/limits'), { action: 'confirm', ...values })))

  const good = { account, per: 'day', most: '£1,250.5', kind: 'ask' }
  for (const [wrong, field] of [
    [{ account: bob.accounts[0] ?? '' }, 'account'],
    [{ account: 'XXX' }, 'account'],
    [{ per: 'week' }, 'per'],
    [{ most: '1.005' }, 'most'],
    [{ most: '-1' }, 'most'],
    [{ kind: 'bank' }, 'kind'],
  ] as const)
    assert.match((await send({ ...good, ...wrong })).text, new RegExp(`<a href="#${field}">`), field)
  page = await send(good)
  assert.match(page.text, /Your limit is set\.[\s\S]*£1,250\.50 a day from this account/)
  page = await send({ ...good, account: 'GBP', most: '90', kind: 'refuse' })
  assert.match(page.text, /£90\.00 a day from all accounts together/)
  const [, own = ''] = /name="limit" value="(lim_[0-9a-f]{32})"/.exec(page.text) ?? []
  for (const id of [bankLimitId, 'lim_1']) await send({ action: 'stop', limit: id })
  const holds = (id: string) =>
    server.owner.oneFirst(sql.unsafe`select ended_at is null from payments.spending_limit where limit_id = ${id}`)
  const stranger = await signedIn(bob)
  const theirs = formAt(await stranger.at.browser.get('/connected-accounts/limits'), '/limits')
  await stranger.at.browser.post('/connected-accounts/limits', fill(theirs, { action: 'stop', limit: own }))
  assert.equal((await at.browser.post('/connected-accounts/limits', new URLSearchParams({ action: 'stop', limit: own }))).status, 403)
  assert.deepEqual([await holds(bankLimitId), await holds(own)], [true, true])
  assert.match((await send({ action: 'stop', limit: own })).text, /Your limit is removed\./)
  assert.equal(await holds(own), false)
})
