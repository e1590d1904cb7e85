import { type Link, parseLink } from "../crypto/fingerprint";

/** Whether this is a copy that somebody saved. */
export const isSaved = (): boolean => location.protocol === "file:";

export const isOnion = (link: Link | undefined): boolean =>
  link !== undefined && new URL(link.origin).hostname.endsWith(".onion");

/** Apps that open pages in a browser of their own, in which they may look on. */
const APPS: readonly (readonly [RegExp, string])[] = [
  [/MicroMessenger|WeChat/i, "WeChat"],
  [/\bQQ\/|MQQBrowser.*QQ\//, "QQ"],
  [/Weibo/i, "Weibo"],
  [/DingTalk/i, "DingTalk"],
  [/AliApp|AlipayClient/, "Alipay"],
  [/Bytedance|musical_ly|TikTok|aweme/i, "TikTok"],
  [/\bFB(AN|AV|_IAB)/, "Facebook"],
  [/Instagram/, "Instagram"],
  [/\bLine\//, "LINE"],
  [/Zalo/i, "Zalo"],
  [/VKAndroidApp|vk\.com/i, "VK"],
  [/Snapchat/, "Snapchat"],
  [/Twitter/, "X"],
  [/KAKAOTALK/i, "KakaoTalk"],
];

export const inAppBrowser = (userAgent: string): string | undefined =>
  APPS.find(([pattern]) => pattern.test(userAgent))?.[1];

/** What the address says of the organization. */
export type Named =
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "nothing" | "not_a_link" | "other_server" };

/**
 * Reads the fragment (docs/protocol.md, section 4): a fingerprint, on the server's own page; or a whole link, in a saved
 * copy. Programs that pass addresses on write the second `#` as `%23`.
 */
export function named(fragment: string, origin: string, saved: boolean): Named {
  if (fragment === "" || fragment === "#") return { kind: "nothing" };
  const text = fragment.slice(1).replace(/%23/g, "#");
  const whole = parseLink(text);
  if (whole !== undefined) {
    return saved || whole.origin === origin ? { kind: "link", link: whole } : { kind: "other_server" };
  }
  const own = saved ? undefined : parseLink(`${origin}/#${text}`);
  return own === undefined ? { kind: "not_a_link" } : { kind: "link", link: own };
}
