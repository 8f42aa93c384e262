import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { credentials, type HttpCustomer, httpCustomer, type Page } from '../customer/http-customer.ts'
import { read, shareAccounts } from '../rig/consented.ts'
import { oauthError } from '../rig/oauth-error.ts'
import { openRig, type Rig } from '../rig/rig.ts'
import type { DemoCustomer } from '../sandbox/description.ts'
import type { StartedAuthorization, ThirdParty } from '../third-party/third-party.ts'
import { getAccountAccess, lodgeAccountAccess } from '../third-party/uk-open-banking.ts'

let rig: Rig
before(async () => {
  rig = await openRig()
})
after(() => rig?.close())
// Nobody stays locked for the next test.
afterEach(() => rig.ask('delete from customers.sign_in_attempt'))

const wrongTries = 5
type Asked = { thirdParty: ThirdParty; consentId: string; started: StartedAuthorization }

async function ask(): Promise<Asked> {
  const thirdParty = await rig.thirdParty('tpp-pkjwt-dpop')
  const consentId = (await lodgeAccountAccess(thirdParty)).textAt('Data.ConsentId')
  return { thirdParty, consentId, started: await thirdParty.start({ scope: 'openid accounts', intent: { consentId, namedBy: 'claims' } }) }
}

const withPassword = ({ username }: Pick<DemoCustomer, 'username'>, password: string) =>
  [
    ['username', username],
    ['password', password],
  ] as const

async function tryPasswords(customer: HttpCustomer, username: string, count: number): Promise<Page[]> {
  let page = await customer.open((await ask()).started.url)
  const answers: Page[] = []
  for (let attempt = 0; attempt < count && page.kind === 'sign_in'; attempt++) {
    page = await customer.submit(page, withPassword({ username }, `wrong ${attempt}`), 'continue')
    answers.push(page)
  }
  return answers
}

const said = ({ text }: Page, username: string) => text.replaceAll(username, '…').replace(/[0-9a-f-]{36}/, '…')

test('CX-11 SCA-02 five wrong passwords lock the customer, the right one is refused too, and the lock says when it ends', async () => {
  const person = rig.someone()
  const answers = await tryPasswords(rig.customer(person), person.username, wrongTries)
  assert.equal(answers.length, wrongTries)
  assert.ok(answers.slice(0, -1).every(({ kind }) => kind === 'sign_in'))
  assert.match(answers.at(-1)?.text ?? '', /15 minutes|locked/i)
  const later = rig.customer(person)
  const page = await later.open((await ask()).started.url)
  const refused = page.kind === 'sign_in' ? await later.submit(page, credentials(person), 'continue') : page
  assert.notEqual(refused.kind, 'second_factor')
  assert.equal(refused.callback, undefined)
})

test('CX-11 a name that nobody has is refused, and locked, in the same words', async () => {
  const person = rig.someone()
  const known = await tryPasswords(rig.customer(person), person.username, wrongTries)
  const unknown = await tryPasswords(rig.customer(person), 'nobody-of-that-name', wrongTries)
  assert.deepEqual(
    known.map(({ status }) => status),
    unknown.map(({ status }) => status),
  )
  assert.deepEqual(
    known.map((page) => said(page, person.username)),
    unknown.map((page) => said(page, 'nobody-of-that-name')),
  )
})

test('CX-11 wrong codes count like wrong passwords, and a complete sign-in resets the count', async () => {
  const person = rig.someone()
  const customer = rig.customer(person)
  let page = await customer.open((await ask()).started.url)
  page = await customer.submit(page, withPassword(person, 'wrong'), 'continue')
  page = await customer.answer(page)
  for (let attempt = 0; attempt < 3; attempt++) page = await customer.submit(page, [['code', '000000']], 'continue')
  assert.equal(page.kind, 'second_factor', 'four failures are not five')
  page = await customer.answer(page)
  assert.equal(page.kind, 'choose_accounts')
  const rows = await rig.ask<{ failures: number }>('select failures from customers.sign_in_attempt where failures > 0')
  assert.deepEqual(rows, [])
})

test('SCA-01 RFC 6238 a code opens one door only, also when two doors are tried at once', async () => {
  const person = rig.someone()
  const [one, other] = [rig.customer(person), rig.customer(person)]
  const pages = await Promise.all(
    [one, other].map(async (customer) => await customer.answer(await customer.open((await ask()).started.url))),
  )
  assert.deepEqual(
    pages.map(({ kind }) => kind),
    ['second_factor', 'second_factor'],
  )
  const code = await rig.codes.freshCode(person)
  const answers = await Promise.all(pages.map((page, index) => [one, other][index]?.submit(page, [['code', code]], 'continue')))
  assert.deepEqual(answers.map((page) => page?.kind).sort(), ['choose_accounts', 'second_factor'])
})

test('CX-15 FAPI2-AZ-15 reloading and going back are safe: the same page again, the request still good', async () => {
  const { started, thirdParty } = await ask()
  const person = rig.someone()
  const customer = rig.customer(person)
  const first = await customer.open(started.url)
  assert.equal((await customer.open(first.url)).kind, 'sign_in', 'reload')
  const code = await customer.answer(await customer.open(first.url))
  const back = await customer.open(first.url)
  assert.ok(['sign_in', 'second_factor'].includes(back.kind), 'back')
  let page = back.kind === 'sign_in' ? await customer.answer(back) : await customer.open(code.url)
  while (page.callback === undefined) page = await customer.answer(page)
  assert.equal((await thirdParty.redeem(started, page.callback)).token_type.toLowerCase(), 'dpop')
})

test('CX-18 an old page sent again decides nothing: no second code, no other accounts', async () => {
  const { started, thirdParty, consentId } = await ask()
  const person = rig.someone(({ accounts }) => accounts.length >= 2)
  const customer = rig.customer(person)
  let page = await customer.answer(await customer.open(started.url))
  page = await customer.answer(page)
  assert.equal(page.kind, 'choose_accounts')
  const [chosen, other] = person.accounts.map(({ id }) => id)
  const done = await customer.submit(page, [['account', chosen ?? '']], 'confirm')
  assert.ok(done.callback, done.text)
  assert.ok(done.callback.searchParams.get('code'), done.callback.search)
  const again = await customer.submit(page, [['account', other ?? '']], 'confirm')
  assert.equal(again.callback?.searchParams.get('code') ?? null, null)
  const tokens = await thirdParty.redeem(started, done.callback)
  const accounts = (await read({ thirdParty, tokens }, '/accounts')).listAt('Data.Account').map((account) => account.at('AccountId'))
  assert.deepEqual(accounts, [chosen], consentId)
})

test('ATK-04 another browser that opens the address of a page gets none of it', async () => {
  const { started } = await ask()
  const victim = rig.customer(rig.someone())
  const page = await victim.answer(await victim.open(started.url))
  const thief = rig.customer(rig.someone())
  const opened = await thief.open(page.url)
  assert.equal(opened.kind, 'message')
  assert.ok(opened.status >= 400 && opened.status < 500)
  const posted = await thief.submit({ ...page, headers: opened.headers }, [['code', '123456']], 'continue')
  assert.ok(posted.status >= 400 && posted.status < 500)
})

test('FAPI2-AZ-15 FAPI2-AZ-12 a used request_uri starts nothing, one whose time ran out while the customer signed in goes through', async () => {
  const { started } = await ask()
  const person = rig.someone()
  const customer = rig.customer(person)
  let page = await customer.open(started.url)
  await rig.ask(`update oidc.pushed_authorization_request set expires_at = now() - interval '1 second' where consumed_at is null`)
  while (page.callback === undefined && page.kind !== 'message') page = await customer.answer(page)
  assert.ok(page.callback?.searchParams.get('code'), page.text)
  const again = await rig.customer(person).open(started.url)
  assert.equal(again.callback, undefined)
  assert.ok(again.status >= 400 && again.status < 500, String(again.status))
})

test('FAPI2-AZ-15 a request_uri that was never opened is no good after its time', async () => {
  const { started } = await ask()
  await rig.ask(`update oidc.pushed_authorization_request set expires_at = now() - interval '1 second' where consumed_at is null`)
  const page = await rig.customer(rig.someone()).open(started.url)
  assert.equal(page.kind, 'message')
  assert.ok(page.status >= 400 && page.status < 500, String(page.status))
})

test('the page for a wrong link says what happened and what to do, has a reference, and keeps the words of the protocol to one line', async () => {
  const page = await rig
    .customer(rig.someone())
    .open(`${rig.description.issuer}/auth?client_id=tpp-pkjwt-dpop&request_uri=urn:ietf:params:oauth:request_uri:unknown`)
  assert.equal(page.status, 400)
  assert.equal(page.kind, 'message')
  assert.match(page.text, /quote [0-9a-f-]{36}/)
  const lines = page.text.match(/For the company that sent you invalid_request[a-z_]*(: [^.\n]+)?/g) ?? []
  assert.equal(lines.length, 1)
  assert.doesNotMatch(page.text.replace(lines[0] ?? '', ''), /request_uri|invalid_request|Error:/)
})

test('a customer who signs in again in the same browser is still asked for a factor', async () => {
  const person = rig.someone()
  const customer = httpCustomer(rig.description, person, rig.codes)
  const first = await ask()
  await customer.authorise(first.started.url)
  const second = await ask()
  const { screens, callback } = await customer.authorise(second.started.url)
  assert.ok(callback?.searchParams.get('code'))
  assert.ok(
    screens.some(({ kind }) => kind === 'choose_accounts'),
    'every consent is shown',
  )
})

test('CX-18 the state of the consent is looked at again when the customer agrees', async () => {
  const { started, thirdParty, consentId } = await ask()
  const customer = rig.customer(rig.someone())
  let page = await customer.answer(await customer.answer(await customer.open(started.url)))
  assert.equal(page.kind, 'choose_accounts')
  await rig.ask(`update consents.consent set status = 'RJCT', status_updated_at = now() where consent_id = $1`, [consentId])
  page = await customer.answer(page)
  assert.equal(page.callback?.searchParams.get('code') ?? null, null)
  assert.equal((await getAccountAccess(thirdParty, consentId)).at('Data.Status'), 'RJCT')
})

test('CX-11 SCA-02 who leaves the pages for 5 minutes begins again with the password, and what was left is not taken', async () => {
  const { started, thirdParty } = await ask()
  const customer = rig.customer(rig.someone())
  const left = await customer.answer(await customer.answer(await customer.open(started.url)))
  assert.equal(left.kind, 'choose_accounts')
  await rig.ask(`update oidc.journey set expires_at = expires_at - interval '4 minutes 50 seconds'`)
  assert.equal((await customer.open(left.url)).kind, 'choose_accounts', 'less than five minutes')
  await rig.ask(`update oidc.journey set expires_at = expires_at - interval '5 minutes 1 second'`)
  const late = await customer.answer(left)
  assert.equal(late.callback?.searchParams.get('code') ?? null, null)
  let page = await customer.open(left.url)
  assert.equal(page.kind, 'sign_in')
  while (page.callback === undefined && page.kind !== 'message') page = await customer.answer(page)
  assert.ok(page.callback, page.text)
  assert.ok((await thirdParty.redeem(started, page.callback)).access_token)
})

test('RW-TOK-03 RW-ST-12 tokens that have expired leave the consent as it was', async () => {
  const { consentId, thirdParty, tokens } = await shareAccounts(rig)
  await rig.ask(`update oidc.refresh_token set expires_at = now() - interval '1 second'`)
  assert.equal(await oauthError(thirdParty.refresh(tokens.refresh_token ?? '')), 'invalid_grant')
  assert.equal((await getAccountAccess(thirdParty, consentId)).at('Data.Status'), 'AUTH')
})
