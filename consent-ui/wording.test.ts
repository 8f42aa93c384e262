import assert from 'node:assert/strict'
import { test } from 'node:test'
import { html } from '@bankside/service-kit/html'
import { linkTarget } from './components/link-target.ts'
import { formErrors } from './form-errors.ts'
import { states } from './gallery-states.ts'
import { acorn, bank, journey } from './gallery-subjects.ts'
import { signInPage } from './sign-in.ts'
import { type About, answeredTexts, problemTexts, type Situation } from './situations.ts'

const pages = Object.entries(states).map(([name, page]) => ({ name, markup: String(page()), hostile: name.startsWith('hostile') }))
const ours = pages.filter(({ hostile }) => !hostile)
const pageNamed = (name: string): string => pages.find((page) => page.name === name)?.markup ?? assert.fail(`no state ${name}`)

/** What can be read, an element per line. */
const textOf = (markup: string): string[] =>
  markup
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<\/?(?:bdi|strong|span|wbr|a)\b[^>]*>/g, '')
    .replace(/<[^>]*>/g, '\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

const forbidden =
  /\b(scopes?|consents?|consent id|tokens?|permission codes?|permissions?|grants?|api|oauth|openid|authori[sz]\w*|authenticat\w*|credentials?|psu|tpp|aisp|pisp|third part(y|ies)|redirect\w*|revok\w*|null|undefined|NaN|\[object)\b/i
const stirring =
  /\b(are you sure|risk\w*|danger\w*|expose\w*|unsafe|beware|warning|hurry|sorry to see you go|only \d+ (seconds|minutes))\b/i

for (const { name, markup } of ours) {
  test(`CX-12 DP-06 ${name}: no word of the trade`, () => {
    for (const line of textOf(markup)) assert.doesNotMatch(line, forbidden)
  })
  test(`CX-AIS-10 DP-03 DP-08 ${name}: no word that frightens, hurries or sells`, () => {
    for (const line of textOf(markup)) assert.doesNotMatch(line, stirring)
  })
  test(`CX-12 ${name}: sentences of at most 20 words`, () => {
    const sentences = textOf(markup).flatMap((line) => line.split(/(?<=[.?!:]) /))
    assert.deepEqual(
      sentences.filter((sentence) => sentence.split(/\s+/).length > 20),
      [],
    )
  })
}

for (const { name, markup } of pages) {
  test(`A11Y-05 ${name}: language, one first heading, a title that ends with the bank`, () => {
    assert.match(markup, /^<!doctype html>\n<html lang="en-GB">/)
    assert.equal(markup.match(/<h1\b/g)?.length, 1)
    assert.match(markup, / – Bankside<\/title>/)
  })
  test(`CX-14 CX-18 ${name}: no inline style or script; forms post with a page token and let passwords and codes be pasted`, () => {
    assert.doesNotMatch(markup, /<style|<script|\sstyle="|\son[a-z]+="|javascript:/)
    for (const [form] of markup.matchAll(/<form.*?<\/form>/gs)) {
      assert.match(form, /^<form[^>]* method="post"/)
      assert.match(form, /<input type="hidden" name="page_token" value="[^"]+">/)
    }
    assert.doesNotMatch(markup, /maxlength|autocomplete="off"|\sdisabled|\srequired/)
  })
}

test('A11Y-05 the title says the step and the third party, and first of all that there is an error', () => {
  const title = (name: string) => /<title>(.*)<\/title>/.exec(pageNamed(name))?.[1]?.replace(/[\u2068\u2069]/g, '')
  assert.equal(title('sign-in-accounts'), 'Sign in to share with Acorn Money – Bankside')
  assert.equal(title('sign-in-wrong'), 'Error: Sign in to share with Acorn Money – Bankside')
  assert.equal(title('second-factor-payment'), 'Enter your code to pay £165.88 to ACME Garden Centre through Acorn Money – Bankside')
  assert.equal(title('choose-accounts'), 'Choose accounts to share with Acorn Money – Bankside')
  assert.equal(title('confirm-payment'), 'Confirm payment of £165.88 to ACME Garden Centre through Acorn Money – Bankside')
  assert.equal(title('stop-access'), 'Stop access for Acorn Money – Bankside')
})

test('CX-14 nothing is ticked on a first consent; a renewal starts with the earlier accounts', () => {
  assert.doesNotMatch(pageNamed('choose-accounts'), / checked/)
  assert.doesNotMatch(pageNamed('confirm-payment'), / checked/)
  assert.equal(pageNamed('choose-accounts-renewal').match(/ checked/g)?.length, 2)
})

test('CX-06 DP-07 the only boxes to tick are accounts, and a limit that the customer set themselves, which is never ticked for them', () => {
  for (const { markup } of pages)
    for (const [box] of markup.matchAll(/<input[^>]*type="checkbox"[^>]*>/g))
      assert.match(box, /name="account"|^(?!.* checked).*name="beyond_limit"/)
})

test('D13 where the bank asks again itself, the page says when', () => {
  const text = textOf(pageNamed('choose-accounts-asked-here-again')).join('\n')
  assert.ok(text.includes('Until 21 November 2027. Every 180 days Acorn Money must send you here again, to sign in and agree.'), text)
  assert.ok(!text.includes('90 days'))
})

test('DP-02 CX-AIS-01 CX-AIS-03 CX-AIS-04 CX-AIS-05 CX-AIS-07 who, what, how long, how to stop and the accounts stand before the button', () => {
  const text = textOf(pageNamed('choose-accounts')).join('\n')
  const button = text.indexOf('Share these accounts')
  const parts = [
    'Share account information with Acorn Money',
    'Your account transactions',
    'Until 21 November 2027. Acorn Money must also ask you at least every 90 days if you still want it.',
    'From 21 May 2026 onwards',
    'You can stop at any time, in Connected accounts at your bank or with Acorn Money.',
    'Everyday',
    'Kitchen loan',
  ]
  for (const part of parts) assert.ok(text.includes(part) && text.indexOf(part) < button, part)
})

test('SCA-08 account numbers of the customer are masked on every page', () => {
  for (const { markup } of ours)
    assert.doesNotMatch(markup.replaceAll('account\u00a0number\u00a012345678', '').replaceAll('account number 12345678', ''), /\b\d{6,}\b/)
})

test('SCA-08 a password is never sent back to the page', () => {
  for (const { markup } of pages)
    for (const [input] of markup.matchAll(/<input[^>]*type="password"[^>]*>/gs)) assert.doesNotMatch(input, /value=/)
})

test('CX-PIS-04 CX-PIS-05 amount and payee are on every page of a payment', () => {
  for (const name of [
    'sign-in-payment',
    'second-factor-payment',
    'second-factor-last-try',
    'confirm-payment',
    'confirm-payment-none-chosen',
    'confirm-payment-account-given',
  ]) {
    const text = textOf(pageNamed(name))
    assert.ok(text.includes('£165.88') && text.includes('to ACME Garden Centre'), name)
  }
})

test('CX-PIS-01 CX-PIS-03 CX-PIS-08 the payment page plays everything back and its button says what it does', () => {
  const text = textOf(pageNamed('confirm-payment'))
  for (const part of [
    'Sort code 20-40-60, account number 12345678',
    'FRESCO-101',
    'Acorn Money',
    'There is not enough money in this account right now.',
  ])
    assert.ok(
      text.some((line) => line.includes(part)),
      part,
    )
  assert.ok(text.includes('Pay £165.88 to ACME Garden Centre'))
})

test('CX-10 CX-11 the code page says until when, how many tries are left, and warns before the last', () => {
  assert.match(pageNamed('second-factor-accounts'), /Enter it before 14:10 GMT\. You have 5 tries left\./)
  assert.match(pageNamed('second-factor-last-try'), /You have 1 try left\..*This is your last try\..*15 minutes/s)
  assert.match(pageNamed('second-factor-dashboard'), /After 5 wrong tries in a row you cannot sign in for 15 minutes\./)
  assert.match(pageNamed('second-factor-accounts'), /inputmode="numeric"/)
  assert.match(pageNamed('second-factor-accounts'), /autocomplete="one-time-code"/)
})

test('CX-09 the password is for this page only', () => {
  assert.ok(textOf(pageNamed('sign-in-accounts')).includes('Enter your password only here, at Bankside. Acorn Money never sees it.'))
  assert.doesNotMatch(pageNamed('sign-in-accounts'), /forgot/i)
})

test('CX-11 a failed sign-in marks both fields alike and tells nothing about either', () => {
  const markup = pageNamed('sign-in-wrong')
  for (const field of ['username', 'password'])
    assert.match(markup, new RegExp(`<input[^>]* id="${field}"[^>]* aria-describedby="credentials-error" aria-invalid="true"`, 's'))
  assert.equal(
    signInPage({ ...journey, common: acorn, cancel: true, context: { kind: 'account_access' }, errors: [formErrors.notSignedIn] })
      .toString()
      .match(/aria-invalid/g)?.length,
    2,
  )
})

test('CX-07 CX-17 every way to end says what happened, whether money moved or was shared, and what to do', () => {
  const situations: Situation[] = [
    'locked',
    'request_expired',
    'request_changed',
    'page_expired',
    'other_customer',
    'no_eligible_account',
    'contact_bank',
    'unavailable',
    'not_found',
    'fault',
  ]
  const about: About = { bankName: 'Bankside', thirdParty: 'Acorn Money', payment: true }
  for (const situation of situations) {
    const { title, whatHappened, didMoneyMove, whatToDo } = problemTexts(situation, about)
    for (const text of [title, whatHappened, whatToDo]) assert.ok(text.length > 10 && !forbidden.test(text), text)
    assert.equal(didMoneyMove, 'No money has moved.')
    assert.equal(problemTexts(situation, { ...about, payment: false }).didMoneyMove, 'Nothing was shared.')
  }
  assert.match(answeredTexts({ bankName: 'Bankside', agreed: false }).lines[0] ?? '', /Nothing was shared and nothing was paid/)
  assert.match(answeredTexts({ bankName: 'Bankside', agreed: true }).lines[0] ?? '', /Coming back here does nothing more/)
  assert.doesNotMatch(problemTexts('locked', about).whatHappened, /password|code|username/i)
})

test('DB-04 DB-10 stopping: what follows, no plea, no reason asked; one button and one confirmation', () => {
  const text = textOf(pageNamed('stop-access')).join(' ')
  assert.match(text, /can no longer see these accounts.*already seen stays with them.*may stop working/)
  assert.equal(pageNamed('connected-account').match(/value="stop"/g)?.length, 1)
  assert.doesNotMatch(pageNamed('stop-access'), /<select|<textarea|type="radio"/)
})

test('DB-02 DB-03 DB-06 the dashboard says who, what, which accounts, since when and until when; ended ones stand apart', () => {
  const overview = textOf(pageNamed('connected-accounts'))
  for (const part of [
    'Acorn Money',
    'Sees your account information',
    'Active',
    'Everyday, ending 4821',
    '21 November 2026',
    'Until 21 November 2027',
    'Until you stop it',
  ])
    assert.ok(overview.includes(part), part)
  assert.ok(
    overview.indexOf('Ended') > overview.indexOf('Brightwater Budgeting') && overview.indexOf('Ended') < overview.indexOf('Cobalt Pay'),
  )
  assert.ok(textOf(pageNamed('connected-account')).includes('27 November 2026 at 06:12 GMT'))
})

test('CX-18 a link leads to a path of ours or to https, or the page is not made', () => {
  for (const good of ['/help', '#main', 'https://acorn.example/callback?code=x']) assert.equal(linkTarget(good), good)
  for (const bad of [
    'javascript:alert(1)',
    'data:text/html,x',
    '//acorn.example',
    '/\\acorn.example',
    'http://acorn.example',
    ' javascript:x',
    '',
  ])
    assert.throws(() => linkTarget(bad))
})

test('CX-18 values are escaped in text and in attributes', () => {
  const markup = String(
    signInPage({
      ...journey,
      common: { ...bank, thirdParty: { name: '<b>&"\'' } },
      cancel: true,
      username: '"><script>',
      context: { kind: 'first_party' },
    }),
  )
  assert.ok(markup.includes('&lt;b&gt;&amp;&quot;&#39;') && markup.includes('value="&quot;&gt;&lt;script&gt;"'))
  assert.doesNotMatch(markup, /<b>|<script/)
  assert.equal(String(html`${'<'}`), '&lt;')
})
