import { type Html, html } from '@bankside/service-kit/html'
import { fieldError } from './components/error-summary.ts'
import { choices, form, formHeading } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import { notice } from './components/notice.ts'
import { paymentPanel } from './components/payment-panel.ts'
import { textField } from './components/text-field.ts'
import type { FieldError, FormPage } from './page.ts'

/** What the customer is about to do. `amount` is text, as `format/amount` writes it. */
export type SignInContext =
  | { readonly kind: 'account_access' }
  | { readonly kind: 'payment'; readonly payee: string; readonly amount: string }
  | { readonly kind: 'dashboard' }
  | { readonly kind: 'first_party' }

export type SignIn = FormPage & {
  readonly username?: string | undefined
  /** Whether there is somewhere to go back to. */
  readonly cancel: boolean
  readonly context: SignInContext
}

/** Fields `username`, `password`; `action` is `continue` or `cancel`. The password is never sent back to the page. */
export function signInPage(page: SignIn): Html {
  const { common, errors = [], cancel, context } = page
  const texts = textsOf(page)
  const content = html`${formHeading({ ...page, errors: errors.map(linkedToField) }, texts.heading)}
      ${context.kind === 'payment' && paymentPanel({ amountText: context.amount, payee: context.payee })}
      <p class="lead">${texts.lead}</p>
      ${form(
        page,
        html`${notice(texts.passwordOnlyHere)}
        ${credentials(page)}
        ${choices({ confirm: 'Continue', confirmValue: 'continue', cancel: cancel ? 'Cancel' : undefined })}
        ${cancel && html`<p class="hint">${texts.ifCancelled}</p>`}`,
      )}`
  return layout({ common, title: texts.title, hasErrors: errors.length > 0 }, content)
}

/** The error `credentials` belongs to both fields, so that it does not tell which one is wrong (CX-11). */
const linkedToField = (error: FieldError): FieldError => (error.field === 'credentials' ? { ...error, field: 'username' } : error)

function credentials({ username = '', errors }: SignIn): Html {
  const error = fieldError('credentials', errors)
  const shared = { errors, sharedErrorId: error && 'credentials-error' }
  return html`<div class="${error ? 'field-group field-wrong' : 'field-group'}">
          ${error}
          ${textField({ ...shared, name: 'username', label: 'Username', autocomplete: 'username', value: username })}
          ${textField({ ...shared, name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' })}
        </div>`
}

type Texts = { title: string; heading: Html | string; lead: Html | string; passwordOnlyHere: Html | string; ifCancelled: Html | string }

function textsOf({ common, context }: SignIn): Texts {
  const { thirdParty, bankName } = common
  const who = thirdParty ? name(thirdParty.name) : 'the app'
  const whoInTitle = thirdParty ? nameInText(thirdParty.name) : 'the app'
  const goBack = html`and you go back to ${who}.`
  const passwordOnlyHere = html`Enter your password only here, at ${bankName}. ${who} never sees it.`
  switch (context.kind) {
    case 'account_access':
      return {
        title: `Sign in to share with ${whoInTitle}`,
        heading: html`Sign in to share account information with ${who}`,
        lead: html`${who} has asked to see some of your account information. After you sign in, you will see what they asked for. Nothing is shared until you agree.`,
        passwordOnlyHere,
        ifCancelled: html`If you cancel, nothing is shared ${goBack}`,
      }
    case 'payment':
      return {
        title: `Sign in to pay ${context.amount} to ${nameInText(context.payee)} through ${whoInTitle}`,
        heading: 'Sign in to make this payment',
        lead: html`${who} has asked us to make this payment for you. Nothing is paid until you agree.`,
        passwordOnlyHere,
        ifCancelled: html`If you cancel, nothing is paid ${goBack}`,
      }
    case 'dashboard':
      return {
        title: 'Sign in to see your connected accounts',
        heading: 'Sign in to see your connected accounts',
        lead: 'See which companies can look at your accounts, and stop any of them at any time.',
        passwordOnlyHere: html`Enter your password only here, at ${bankName}. Never give it to another company.`,
        ifCancelled: 'If you cancel, nothing changes.',
      }
    case 'first_party':
      return {
        title: `Sign in to ${bankName} for ${whoInTitle}`,
        heading: html`Sign in to ${bankName}`,
        lead: html`After you sign in, you go back to ${who}.`,
        passwordOnlyHere: html`Enter your password only here, at ${bankName}. Never give it to another company.`,
        ifCancelled: html`If you cancel, nothing changes ${goBack}`,
      }
  }
}
