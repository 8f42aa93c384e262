import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from '@bankside/service-kit/postgres'
import { authoriseAccounts, pushed } from './testing/authorise.ts'
import { enterCustomer, lodgeAccounts, readConsent, type TestCustomer } from './testing/bank-fixtures.ts'
import { type CustomerAtBrowser, fill, formOf, responseOf } from './testing/browser.ts'
import type { Answer } from './testing/exchange.ts'
import { startTestServer, type TestServer } from './testing/test-server.ts'
import { intentClaim, ThirdParty } from './testing/third-party.ts'

/** A customer who is signed in has only to decide: the page is written down when it is answered, together with the answer. */
const racers = 8
let server: TestServer
let ada: TestCustomer
let bob: TestCustomer
let acorn: ThirdParty
let at: CustomerAtBrowser

before(async () => {
  server = await startTestServer()
  ada = await enterCustomer(server, 'ada')
  bob = await enterCustomer(server, 'bob')
  acorn = await ThirdParty.register(server, 'acorn')
  at = (await authoriseAccounts(acorn, ada)).customer
})
after(() => server.stop())

const requestFor = async (consentId: string) => pushed(acorn, { claims: intentClaim(consentId) })
const opened = async () => {
  const consentId = await lodgeAccounts(server, 'acorn')
  const requestUri = await requestFor(consentId)
  return { consentId, requestUri, page: await at.open(acorn, requestUri) }
}
const codeOf = ({ status, headers }: Answer) =>
  status === 303 ? (new URL(headers['location'] ?? '', server.issuer).searchParams.get('code') ?? undefined) : undefined
const count = (what: 'oidc.grant' | 'oidc.journey' | 'events.event' | 'consents.consent_account') =>
  server.owner.oneFirst(sql.unsafe`select count(*)::int from ${sql.identifier(what.split('.'))}`) as Promise<number>
const written = () => Promise.all((['oidc.grant', 'events.event', 'consents.consent_account'] as const).map(count))
const recordsOf = (consentId: string) =>
  server.owner.anyFirst(sql.unsafe`select action from audit.record where subject = ${consentId} order by occurred_at`)

test('CON-02 CX-19 the page writes nothing; the yes is consent, accounts, grant, event and record at once, and its tokens work', async () => {
  const before = await count('oidc.journey')
  const { consentId, page } = await opened()
  assert.match(page.text, /Share account information/)
  assert.equal(await count('oidc.journey'), before)
  const [grants, events, accounts] = await written()
  const code = codeOf(await at.agree(page, ada.accounts.slice(0, 2)))
  const { json, status } = await acorn.redeem(code ?? '')
  assert.equal(status, 200)
  assert.deepEqual(await written(), [(grants ?? 0) + 1, (events ?? 0) + 1, (accounts ?? 0) + 2])
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
  assert.ok((await recordsOf(consentId)).includes('consent.authorised'))
  assert.equal((await acorn.refresh(String(json['refresh_token']))).status, 200)
})

test('CX-18 of eight submissions of the page at once exactly one is answered, and what comes later is told so', async () => {
  const { consentId, page } = await opened()
  const form = formOf(page)
  const post = () => at.browser.post(form.action, fill(form, { action: 'confirm', account: ada.accounts[0] ?? '' }))
  const before = await written()
  const answers = await Promise.all(Array.from({ length: racers }, post))
  assert.equal(answers.filter((answer) => codeOf(answer) !== undefined).length, 1)
  // An old page, or, to whom comes when it is over, how it ended.
  assert.ok(answers.every((answer) => codeOf(answer) !== undefined || [200, 400, 409].includes(answer.status)))
  assert.deepEqual(
    await written(),
    before.map((number) => number + 1),
  )
  assert.ok([400, 409, 200].includes((await post()).status))
  assert.equal((await recordsOf(consentId)).filter((action) => action === 'consent.authorised').length, 1)
})

test('CX-18 a yes and a no to one page at once: one of them counts, for consent and third party alike', async () => {
  for (let round = 0; round < 4; round++) {
    const { consentId, page } = await opened()
    const form = formOf(page)
    const post = (action: string) => at.browser.post(form.action, fill(form, { action, account: ada.accounts[0] ?? '' }))
    const answers = await Promise.all(['confirm', 'cancel', 'cancel', 'confirm'].map(post))
    const told = answers.filter(({ status }) => status === 303).map(responseOf)
    assert.equal(told.length, 1)
    assert.equal((await readConsent(server, consentId)).status, told[0]?.['code'] === undefined ? 'RJCT' : 'AUTH')
  }
})

test('PAR-06 FAPI2-AZ-15 of eight tabs with one pushed request exactly one ends with a yes, and one grant is made', async () => {
  const { requestUri, page } = await opened()
  const pages = [page]
  while (pages.length < racers) pages.push(await at.open(acorn, requestUri))
  const [grants] = await written()
  const ends = await Promise.all(pages.map((one) => at.agree(one, ada.accounts.slice(0, 1))))
  assert.equal(ends.filter((end) => codeOf(end) !== undefined).length, 1)
  assert.equal((await written())[0], (grants ?? 0) + 1)
})

test('of eight requests for one consent at once each that is agreed to ends what the one before was given', async () => {
  const { consentId, page } = await opened()
  const pages = [page]
  while (pages.length < racers) pages.push(await at.open(acorn, await requestFor(consentId)))
  const ends = await Promise.all(pages.map((one) => at.agree(one, ada.accounts.slice(0, 1))))
  const codes = ends.flatMap((end) => codeOf(end) ?? [])
  assert.ok(codes.length >= 1)
  const redeemed = await Promise.all(codes.map((code) => acorn.redeem(code)))
  assert.equal(redeemed.filter(({ status }) => status === 200).length, 1)
  assert.equal((await readConsent(server, consentId)).status, 'AUTH')
})

test('CX-13 no account, another customer’s, or one that is none: nothing is written, and the page says so', async () => {
  for (const account of [[], bob.accounts.slice(0, 1), ['acc_00000000000000000000000000000000']]) {
    const { consentId, page } = await opened()
    const before = await written()
    const again = await at.submit(page, { action: 'confirm', account })
    assert.match(again.text, /There is a problem/)
    assert.deepEqual(await written(), before)
    assert.equal((await readConsent(server, consentId)).status, 'AWAU')
    assert.ok(codeOf(await at.agree(again, ada.accounts.slice(0, 1))), 'and the page can be put right')
  }
})

test('a consent that the third party took back meanwhile is not agreed to', async () => {
  const { consentId, page } = await opened()
  await server.owner.query(sql.unsafe`
    update consents.consent set status = 'RJCT', status_updated_at = now(), deleted_at = now() where consent_id = ${consentId}`)
  const before = await written()
  const end = await at.agree(page, ada.accounts.slice(0, 1))
  assert.equal(codeOf(end), undefined)
  assert.deepEqual(await written(), before)
})

test('a page of another journey, of another number, or without its token answers nothing', async () => {
  const [one, two] = [await opened(), await opened()]
  const [mine, other] = [formOf(one.page), formOf(two.page)]
  const token = (value: string) =>
    at.browser.post(mine.action, fill(mine, { action: 'confirm', account: ada.accounts[0] ?? '', page_token: value }))
  const [number, signature] = (mine.fields.get('page_token') ?? '').split('.')
  for (const forged of [other.fields.get('page_token') ?? '', '', `2.${signature}`, `${number}.${signature?.replace(/.$/, 'A')}x`])
    assert.equal((await token(forged)).status, 409, forged)
  assert.equal((await readConsent(server, one.consentId)).status, 'AWAU')
  assert.equal((await token(mine.fields.get('page_token') ?? '')).status, 303)
})
