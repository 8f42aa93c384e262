import type { ConsentToDecide } from './consents.ts'

export function signInPage(uid: string): string {
  return page(
    'Sign in',
    `<form method="post" action="/interaction/${uid}">
<label>User name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button name="action" value="continue">Continue</button></form>`,
  )
}

export function consentPage(uid: string, { permissions, accounts }: ConsentToDecide): string {
  return page(
    'Choose accounts',
    `<ul>${permissions.map((permission) => `<li>${escaped(permission)}</li>`).join('')}</ul>
<form method="post" action="/interaction/${uid}">
${accounts
  .map(
    ({ account_id, nickname, sort_code, account_number, currency }) =>
      `<label><input type="checkbox" name="account" value="${escaped(account_id)}"> ${escaped(nickname)} ${sort_code} ${account_number.slice(-4)} ${currency}</label>`,
  )
  .join('\n')}
<button name="action" value="confirm">Share</button> <button name="action" value="cancel">Cancel</button></form>`,
  )
}

const page = (title: string, content: string) =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${content}</body></html>`

const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
