import { type Html, html } from '@bankside/service-kit/html'
import { choices, form, formHeading } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name } from './components/name.ts'
import type { FormPage } from './page.ts'

export type SignOutOfBank = FormPage & {
  /** What the request said, to be posted back with the answer. */
  readonly fields: Readonly<Record<string, string>>
}

/** Asked when somebody else may have begun the sign-out (LOGOUT-02). `action` is `confirm` or `cancel`. */
export function signOutPage(page: SignOutOfBank): Html {
  const { common, fields } = page
  const { bankName, thirdParty } = common
  const content = html`${formHeading(page, `Sign out of ${bankName}`)}
      <p class="lead">${thirdParty ? html`${name(thirdParty.name)} has asked us to sign you out of ${bankName} in this browser.` : html`Do you want to sign out of ${bankName} in this browser?`}</p>
      <p>What you share with companies stays as it is. To change that, use <strong>Connected accounts</strong>.</p>
      ${form(
        page,
        html`${Object.entries(fields).map(([field, value]) => html`<input type="hidden" name="${field}" value="${value}">`)}
        ${choices({ confirm: 'Sign out', confirmValue: 'confirm', cancel: 'Stay signed in' })}`,
      )}`
  return layout({ common, title: `Sign out of ${bankName}` }, content)
}
