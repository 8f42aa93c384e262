import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AppSession, apiGet, apiPost, signInToApp, someTransfer, stepUp } from '../rig/bank-app.ts'
import { read, shareAccounts } from '../rig/consented.ts'
import { challengeError, oauthError } from '../rig/oauth-error.ts'
import { hasSterling, openRig, type Rig, sterlingOf } from '../rig/rig.ts'
import { newKey } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())

const twoPeople = () => [rig.someone(hasSterling), rig.someone(hasSterling)] as const

async function finalStatus(session: AppSession, transactionId: string): Promise<string> {
  for (const deadline = performance.now() + 30_000; ; await sleep(100)) {
    const status = (await apiGet(session, `/transactions/${transactionId}`)).textAt('status')
    if (status !== 'PENDING' || performance.now() > deadline) return status
  }
}

test('NAT-01 NAT-02 NAT-03 NAT-04 NAT-S1 the app reads profile, all accounts, one account and its pages', async () => {
  const person = rig.someone(hasSterling)
  const session = await signInToApp(rig, person)
  assert.deepEqual(
    session.screens.map(({ kind }) => kind),
    ['sign_in', 'second_factor'],
    'no sharing page for the bank’s own app',
  )
  const profile = await apiGet(session, '/users/me')
  assert.deepEqual([profile.status, profile.at('sub')], [200, session.tokens.claims()?.sub])
  const accounts = (await apiGet(session, '/accounts')).listAt('accounts').map((account) => account.at('id'))
  assert.deepEqual(accounts.sort(), person.accounts.map(({ id }) => id).sort())
  const { id } = sterlingOf(person)
  assert.equal(typeof (await apiGet(session, `/accounts/${id}`)).at('balance.available_cents'), 'number')
  const first = await apiGet(session, `/accounts/${id}/transactions?page=1&limit=3`)
  const second = await apiGet(session, `/accounts/${id}/transactions?page=2&limit=3`)
  const ids = [...first.listAt('transactions'), ...second.listAt('transactions')].map((each) => each.at('id'))
  assert.equal(new Set(ids).size, 6)
})

test('NAT-S2 an account of somebody else and one that does not exist are answered alike: 404', async () => {
  const [person, other] = twoPeople()
  const session = await signInToApp(rig, person)
  const answers = [await apiGet(session, `/accounts/${sterlingOf(other).id}`), await apiGet(session, `/accounts/acc_${'0'.repeat(32)}`)]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 404],
  )
  assert.equal(answers[0]?.at('title'), answers[1]?.at('title'))
  assert.equal(answers[0]?.at('detail'), answers[1]?.at('detail'))
})

test('NAT-05 NAT-06 NAT-S4 NAT-S5 STEP-01 STEP-02 STEP-03 a transfer: 401 asks for step-up, the pages show payee and amount, 202 PENDING, then COMPLETED', async () => {
  const [person, payee] = twoPeople()
  const transfer = someTransfer(person, payee, 1234)
  const session = await signInToApp(rig, person)
  const asked = await apiPost(session, '/transactions/transfer', transfer)
  assert.deepEqual([asked.status, challengeError(asked.headers)], [401, 'insufficient_user_authentication'])
  assert.match(asked.headers.get('www-authenticate') ?? '', /acr_values="urn:openbanking:psd2:sca"/)
  assert.match(asked.headers.get('www-authenticate') ?? '', /max_age="?300"?/)
  const steppedUp = await stepUp(rig, person, transfer)
  const shown = steppedUp.screens.filter(({ text }) => text.includes('£12.34') && text.toLowerCase().includes(payee.username))
  assert.ok(
    shown.some(({ kind }) => kind === 'second_factor'),
    'the page that asks for the code names payee and amount',
  )
  assert.equal(steppedUp.tokens.claims()?.['acr'], 'urn:openbanking:psd2:sca')
  const accepted = await apiPost(steppedUp, '/transactions/transfer', transfer)
  assert.deepEqual([accepted.status, accepted.at('status'), accepted.at('amount_cents')], [202, 'PENDING', 1234], accepted.text)
  assert.equal(accepted.headers.get('location'), `/api/v1/transactions/${accepted.textAt('transaction_id')}`)
  assert.ok(accepted.textAt('transaction_ref').length <= 35)
  assert.equal(await finalStatus(session, accepted.textAt('transaction_id')), 'COMPLETED')
  const payeesView = await apiGet(await signInToApp(rig, payee), `/transactions/${accepted.textAt('transaction_id')}`)
  assert.deepEqual([payeesView.status, payeesView.at('direction')], [200, 'credit'])
})

test('NAT-S4 PIS-13 a step-up for one transfer makes no other: amount, payee, source, description', async () => {
  const [person, payee] = twoPeople()
  const third = rig.someone((each) => hasSterling(each) && each !== person && each !== payee)
  const transfer = someTransfer(person, payee, 1000)
  const session = await stepUp(rig, person, transfer)
  const others = [{ amount_cents: 1001 }, { destination_account_id: sterlingOf(third).id }, { description: 'Something else' }]
  for (const other of others) {
    const refused = await apiPost(session, '/transactions/transfer', { ...transfer, ...other })
    assert.ok([401, 403].includes(refused.status), `${JSON.stringify(other)}: ${refused.status} ${refused.text}`)
  }
  assert.equal((await apiPost(session, '/transactions/transfer', transfer)).status, 202)
  const again = await apiPost(session, '/transactions/transfer', transfer)
  assert.ok([401, 403].includes(again.status), `a second one: ${again.status} ${again.text}`)
})

test('NAT-A5 fifty requests under one key at once make one transfer; the key with another body is 409', async () => {
  const [person, payee] = twoPeople()
  const transfer = someTransfer(person, payee, 777)
  const session = await stepUp(rig, person, transfer)
  const key = newKey()
  const answers = await Promise.all(Array.from({ length: 50 }, () => apiPost(session, '/transactions/transfer', transfer, key)))
  const made = answers.filter(({ status }) => status === 202)
  assert.equal(new Set(made.map((answer) => answer.at('transaction_id'))).size, 1)
  assert.ok(
    answers.every(({ status }) => status === 202 || status === 409),
    answers.map(({ status }) => status).join(),
  )
  assert.equal((await apiPost(session, '/transactions/transfer', { ...transfer, amount_cents: 778 }, key)).status, 409)
})

test('NAT-S3 a transfer from an account of somebody else is refused before and after step-up, and cannot be stepped up for', async () => {
  const [person, other] = twoPeople()
  const stolen = someTransfer(other, person, 100)
  const before = await apiPost(await signInToApp(rig, person), '/transactions/transfer', stolen)
  assert.ok([401, 403, 404].includes(before.status), `${before.status} ${before.text}`)
  const after = await apiPost(await stepUp(rig, person, someTransfer(person, other, 100)), '/transactions/transfer', stolen)
  assert.ok([403, 404].includes(after.status), `${after.status} ${after.text}`)
  await assert.rejects(stepUp(rig, person, stolen), /did not come back|access_denied/)
})

test('NAT-S6 a transaction between others does not exist: 404', async () => {
  const [person, other] = twoPeople()
  const third = rig.someone((each) => each !== person && each !== other)
  const transfer = someTransfer(person, other, 150)
  const made = await apiPost(await stepUp(rig, person, transfer), '/transactions/transfer', transfer)
  assert.equal(made.status, 202, made.text)
  assert.equal((await apiGet(await signInToApp(rig, third), `/transactions/${made.textAt('transaction_id')}`)).status, 404)
})

test('NAT-07 NAT-08 NAT-S7 a beneficiary is added once and listed; a transfer to it goes through', async () => {
  const [person, payee] = twoPeople()
  const account = sterlingOf(payee)
  const session = await signInToApp(rig, person)
  const beneficiary = { name: 'Riverside Rentals', sort_code: account.sort_code, account_number: account.account_number, reference: 'Rent' }
  const added = await apiPost(session, '/beneficiaries', beneficiary)
  assert.equal(added.status, 201, added.text)
  assert.equal((await apiPost(session, '/beneficiaries', beneficiary)).status, 409)
  const listed = (await apiGet(session, '/beneficiaries')).listAt('beneficiaries').map((each) => each.at('id'))
  assert.ok(listed.includes(added.textAt('id')))
  const transfer = { ...someTransfer(person, payee, 321), destination_account_id: added.textAt('id') }
  const made = await apiPost(await stepUp(rig, person, transfer), '/transactions/transfer', transfer)
  assert.equal(made.status, 202, made.text)
  assert.equal(await finalStatus(session, made.textAt('transaction_id')), 'COMPLETED')
})

test('NAT-S1 BCP-16 a token of the client’s own reads nothing here, and a missing scope is 403 insufficient_scope', async () => {
  const person = rig.someone()
  const session = await signInToApp(rig, person, { scope: 'openid profile' })
  const refused = await apiGet(session, '/accounts')
  assert.deepEqual([refused.status, challengeError(refused.headers)], [403, 'insufficient_scope'])
})

test('§4.5 RFC 8707 a token of one API is no good for the other', async () => {
  const shared = await shareAccounts(rig)
  assert.equal((await apiGet(shared, '/accounts')).status, 401)
  const session = await signInToApp(rig, rig.someone())
  assert.equal((await read(session, '/accounts')).status, 401)
})

test('NAT-S7 a third party cannot ask for the scopes of the bank’s own app', async () => {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  assert.ok(
    ['invalid_scope', 'invalid_request', 'invalid_target'].includes(
      await oauthError(thirdParty.start({ scope: 'openid profile accounts:read' })),
    ),
  )
})
