// Shows the newest posts, a page at a time.
const list = document.querySelector("main");
const more = document.querySelector("button");
let cursor = "";

async function page() {
    const answer = await fetch(`/blog/api/posts?limit=10&cursor=${encodeURIComponent(cursor)}`);
    if (!answer.ok) throw new Error(`the list of posts: ${answer.status}`);
    const { posts, next_cursor } = await answer.json();
    for (const post of posts) {
        const article = document.createElement("article");
        const title = document.createElement("h2");
        const content = document.createElement("p");
        const footer = document.createElement("footer");
        title.textContent = post.title;
        content.textContent = post.content;
        footer.textContent = `${post.author.full_name}, ${post.category}`;
        article.append(title, content, footer);
        list.append(article);
    }
    cursor = next_cursor ?? "";
    more.hidden = next_cursor === null;
}

more?.addEventListener("click", page);
if (list) page();
