import { type Html, html } from '@bankside/service-kit/html'
import { choices, form, formHeading } from './components/form.ts'
import { layout } from './components/layout.ts'
import { name, nameInText } from './components/name.ts'
import type { FormPage, SignOut } from './page.ts'

export type StopAccess = FormPage & {
  readonly thirdPartyName: string
  /** Nicknames with the end of the number. */
  readonly accounts: readonly string[]
  readonly signOut?: SignOut | undefined
}

/** The one confirmation before access stops (DB-04): what follows, no plea to stay. `action` is `confirm` or `cancel`. */
export function stopAccessPage(page: StopAccess): Html {
  const { common, errors, thirdPartyName, accounts, signOut } = page
  const who = name(thirdPartyName)
  const content = html`${formHeading(page, html`Stop access for ${who}`)}
      <p class="lead">If you stop access now:</p>
      <ul class="bullets">
        <li>${who} can no longer see ${accounts.length === 1 ? 'this account' : 'these accounts'}: ${accounts.map((account, index) => html`${index > 0 && ', '}${name(account)}`)}</li>
        <li>what they have already seen stays with them – ask ${who} if you want it deleted</li>
        <li>services you get from ${who} may stop working.</li>
      </ul>
      ${form(page, choices({ confirm: 'Stop access', confirmValue: 'confirm', cancel: 'Keep access' }))}`
  return layout({ common, title: `Stop access for ${nameInText(thirdPartyName)}`, hasErrors: Boolean(errors?.length), signOut }, content)
}
